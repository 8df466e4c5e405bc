"""conv2d.valid.grad_K, made by `chainrule derive`. The steps are in conv2d_valid_grad_K.md."""


def conv2d_valid_grad_K(d, I):
    """∂ℒ/∂K_{p,q} = Σ_{i=0}^{H−M} Σ_{j=0}^{W−N} d_{i,j} I_{i+p,j+q},   0 ≤ p ≤ M − 1, 0 ≤ q ≤ N − 1"""
    H = len(I)
    W = len(I[0])
    M = H - len(d) + 1
    N = W - len(d[0]) + 1
    return [[sum(d[i][j] * I[i + p][j + q]
                 for i in range(H - M + 1)
                 for j in range(W - N + 1))
             for q in range(N)]
            for p in range(M)]


def conv2d_valid_grad_K_jvp(K_dot, I):
    """ẏ_{i,j} = Σ_{u=0}^{M−1} Σ_{v=0}^{N−1} I_{i+u,j+v} K̇_{u,v},   0 ≤ i ≤ H − M, 0 ≤ j ≤ W − N"""
    M = len(K_dot)
    N = len(K_dot[0])
    H = len(I)
    W = len(I[0])
    return [[sum(I[i + u][j + v] * K_dot[u][v]
                 for u in range(M)
                 for v in range(N))
             for j in range(W - N + 1)]
            for i in range(H - M + 1)]


def conv2d_valid_grad_K_hvp(d_dot, d, I):
    """(∂ℒ/∂K_{p,q})˙ = Σ_{i=0}^{H−M} Σ_{j=0}^{W−N} ḋ_{i,j} I_{i+p,j+q},   0 ≤ p ≤ M − 1, 0 ≤ q ≤ N − 1"""
    H = len(I)
    W = len(I[0])
    M = H - len(d) + 1
    N = W - len(d[0]) + 1
    return [[sum(d_dot[i][j] * I[i + p][j + q]
                 for i in range(H - M + 1)
                 for j in range(W - N + 1))
             for q in range(N)]
            for p in range(M)]
