"""conv2d.valid.grad_I, made by `chainrule derive`. The steps are in conv2d_valid_grad_I.md."""


def conv2d_valid_grad_I(d, K):
    """∂ℒ/∂I_{p,q} = Σ_{u=max(0,p+M−H)}^{min(p,M−1)} Σ_{v=max(0,q+N−W)}^{min(q,N−1)} d_{p−u,q−v}
                  K_{u,v}
    0 ≤ p ≤ H − 1, 0 ≤ q ≤ W − 1"""
    M = len(K)
    N = len(K[0])
    H = len(d) + M - 1
    W = len(d[0]) + N - 1
    return [[sum(d[p - u][q - v] * K[u][v]
                 for u in range(max(0, p + M - H), min(p, M - 1) + 1)
                 for v in range(max(0, q + N - W), min(q, N - 1) + 1))
             for q in range(W)]
            for p in range(H)]


def conv2d_valid_grad_I_jvp(I_dot, K):
    """ẏ_{i,j} = Σ_{u=0}^{M−1} Σ_{v=0}^{N−1} K_{u,v} İ_{i+u,j+v},   0 ≤ i ≤ H − M, 0 ≤ j ≤ W − N"""
    H = len(I_dot)
    W = len(I_dot[0])
    M = len(K)
    N = len(K[0])
    return [[sum(K[u][v] * I_dot[i + u][j + v]
                 for u in range(M)
                 for v in range(N))
             for j in range(W - N + 1)]
            for i in range(H - M + 1)]


def conv2d_valid_grad_I_hvp(d_dot, d, K):
    """(∂ℒ/∂I_{p,q})˙ = Σ_{u=max(0,p+M−H)}^{min(p,M−1)} Σ_{v=max(0,q+N−W)}^{min(q,N−1)} ḋ_{p−u,q−v}
                     K_{u,v}
    0 ≤ p ≤ H − 1, 0 ≤ q ≤ W − 1"""
    M = len(K)
    N = len(K[0])
    H = len(d) + M - 1
    W = len(d[0]) + N - 1
    return [[sum(d_dot[p - u][q - v] * K[u][v]
                 for u in range(max(0, p + M - H), min(p, M - 1) + 1)
                 for v in range(max(0, q + N - W), min(q, N - 1) + 1))
             for q in range(W)]
            for p in range(H)]
