"""stack.one.grad_x, made by `chainrule derive`. The steps are in stack_one_grad_x.md."""


def stack_one_grad_x(delta, K, H, W):
    """∂ℒ/∂x_{k,l,p} = Σ_{n=max(0,l+N−W)}^{min(l,N−1)} Σ_{m=max(0,k+M−H)}^{min(k,M−1)} δ_{k−m,l−n}
                    K_{m,n,p}
    0 ≤ k ≤ H − 1, 0 ≤ l ≤ W − 1, 0 ≤ p ≤ r − 1"""
    M = len(K)
    N = len(K[0])
    r = len(K[0][0])
    return [[[sum(delta[k - m][l - n] * K[m][n][p]
                  for n in range(max(0, l + N - W), min(l, N - 1) + 1)
                  for m in range(max(0, k + M - H), min(k, M - 1) + 1))
              for p in range(r)]
             for l in range(W)]
            for k in range(H)]


def stack_one_grad_x_jvp(x_dot, K):
    """ż_{i,j} = Σ_{c=0}^{r−1} Σ_{n=0}^{N−1} Σ_{m=0}^{M−1} ẋ_{i+m,j+n,c} K_{m,n,c}
    0 ≤ i ≤ H − M, 0 ≤ j ≤ W − N"""
    H = len(x_dot)
    W = len(x_dot[0])
    r = len(x_dot[0][0])
    M = len(K)
    N = len(K[0])
    return [[sum(x_dot[i + m][j + n][c] * K[m][n][c]
                 for c in range(r)
                 for n in range(N)
                 for m in range(M))
             for j in range(W - N + 1)]
            for i in range(H - M + 1)]


def stack_one_grad_x_hvp(delta_dot, delta, K, H, W):
    """(∂ℒ/∂x_{k,l,p})˙ = Σ_{n=max(0,l+N−W)}^{min(l,N−1)} Σ_{m=max(0,k+M−H)}^{min(k,M−1)} δ̇_{k−m,l−n}
                       K_{m,n,p}
    0 ≤ k ≤ H − 1, 0 ≤ l ≤ W − 1, 0 ≤ p ≤ r − 1"""
    M = len(K)
    N = len(K[0])
    r = len(K[0][0])
    return [[[sum(delta_dot[k - m][l - n] * K[m][n][p]
                  for n in range(max(0, l + N - W), min(l, N - 1) + 1)
                  for m in range(max(0, k + M - H), min(k, M - 1) + 1))
              for p in range(r)]
             for l in range(W)]
            for k in range(H)]
