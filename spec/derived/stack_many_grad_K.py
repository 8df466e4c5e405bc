"""stack.many.grad_K, made by `chainrule derive`. The steps are in stack_many_grad_K.md."""


def stack_many_grad_K(delta, x, M, N):
    """∂ℒ/∂K_{k,l,p,q} = Σ_{i=0}^{H−M} Σ_{j=0}^{W−N} δ_{i,j,k} x_{i+l,j+p,q}
    0 ≤ k ≤ D − 1, 0 ≤ l ≤ M − 1, 0 ≤ p ≤ N − 1, 0 ≤ q ≤ r − 1"""
    r = len(x[0][0])
    H = len(x)
    W = len(x[0])
    D = len(delta[0][0])
    return [[[[sum(delta[i][j][k] * x[i + l][j + p][q]
                   for i in range(H - M + 1)
                   for j in range(W - N + 1))
               for q in range(r)]
              for p in range(N)]
             for l in range(M)]
            for k in range(D)]


def stack_many_grad_K_jvp(K_dot, x):
    """ż_{i,j,d} = Σ_{c=0}^{r−1} Σ_{n=0}^{N−1} Σ_{m=0}^{M−1} x_{i+m,j+n,c} K̇_{d,m,n,c}
    0 ≤ i ≤ H − M, 0 ≤ j ≤ W − N, 0 ≤ d ≤ D − 1"""
    D = len(K_dot)
    M = len(K_dot[0])
    N = len(K_dot[0][0])
    r = len(K_dot[0][0][0])
    H = len(x)
    W = len(x[0])
    return [[[sum(x[i + m][j + n][c] * K_dot[d][m][n][c]
                  for c in range(r)
                  for n in range(N)
                  for m in range(M))
              for d in range(D)]
             for j in range(W - N + 1)]
            for i in range(H - M + 1)]


def stack_many_grad_K_hvp(delta_dot, delta, x, M, N):
    """(∂ℒ/∂K_{k,l,p,q})˙ = Σ_{i=0}^{H−M} Σ_{j=0}^{W−N} δ̇_{i,j,k} x_{i+l,j+p,q}
    0 ≤ k ≤ D − 1, 0 ≤ l ≤ M − 1, 0 ≤ p ≤ N − 1, 0 ≤ q ≤ r − 1"""
    r = len(x[0][0])
    H = len(x)
    W = len(x[0])
    D = len(delta[0][0])
    return [[[[sum(delta_dot[i][j][k] * x[i + l][j + p][q]
                   for i in range(H - M + 1)
                   for j in range(W - N + 1))
               for q in range(r)]
              for p in range(N)]
             for l in range(M)]
            for k in range(D)]
