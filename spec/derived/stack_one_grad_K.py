"""stack.one.grad_K, made by `chainrule derive`. The steps are in stack_one_grad_K.md."""


def stack_one_grad_K(delta, x, M, N):
    """∂ℒ/∂K_{k,l,p} = Σ_{i=0}^{H−M} Σ_{j=0}^{W−N} δ_{i,j} x_{i+k,j+l,p}
    0 ≤ k ≤ M − 1, 0 ≤ l ≤ N − 1, 0 ≤ p ≤ r − 1"""
    r = len(x[0][0])
    H = len(x)
    W = len(x[0])
    return [[[sum(delta[i][j] * x[i + k][j + l][p]
                  for i in range(H - M + 1)
                  for j in range(W - N + 1))
              for p in range(r)]
             for l in range(N)]
            for k in range(M)]


def stack_one_grad_K_jvp(K_dot, x):
    """ż_{i,j} = Σ_{c=0}^{r−1} Σ_{n=0}^{N−1} Σ_{m=0}^{M−1} x_{i+m,j+n,c} K̇_{m,n,c}
    0 ≤ i ≤ H − M, 0 ≤ j ≤ W − N"""
    M = len(K_dot)
    N = len(K_dot[0])
    r = len(K_dot[0][0])
    H = len(x)
    W = len(x[0])
    return [[sum(x[i + m][j + n][c] * K_dot[m][n][c]
                 for c in range(r)
                 for n in range(N)
                 for m in range(M))
             for j in range(W - N + 1)]
            for i in range(H - M + 1)]


def stack_one_grad_K_hvp(delta_dot, delta, x, M, N):
    """(∂ℒ/∂K_{k,l,p})˙ = Σ_{i=0}^{H−M} Σ_{j=0}^{W−N} δ̇_{i,j} x_{i+k,j+l,p}
    0 ≤ k ≤ M − 1, 0 ≤ l ≤ N − 1, 0 ≤ p ≤ r − 1"""
    r = len(x[0][0])
    H = len(x)
    W = len(x[0])
    return [[[sum(delta_dot[i][j] * x[i + k][j + l][p]
                  for i in range(H - M + 1)
                  for j in range(W - N + 1))
              for p in range(r)]
             for l in range(N)]
            for k in range(M)]
