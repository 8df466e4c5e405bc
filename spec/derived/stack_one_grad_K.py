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
