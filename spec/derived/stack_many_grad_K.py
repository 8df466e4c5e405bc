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
