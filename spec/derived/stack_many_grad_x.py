"""stack.many.grad_x, made by `chainrule derive`. The steps are in stack_many_grad_x.md."""


def stack_many_grad_x(delta, K, H, W):
    """∂ℒ/∂x_{k,l,p} = Σ_{d=0}^{D−1} Σ_{n=max(0,l+N−W)}^{min(l,N−1)} Σ_{m=max(0,k+M−H)}^{min(k,M−1)}
                    δ_{k−m,l−n,d} K_{d,m,n,p}
    0 ≤ k ≤ H − 1, 0 ≤ l ≤ W − 1, 0 ≤ p ≤ r − 1"""
    M = len(K[0])
    N = len(K[0][0])
    r = len(K[0][0][0])
    D = len(delta[0][0])
    return [[[sum(delta[k - m][l - n][d] * K[d][m][n][p]
                  for d in range(D)
                  for n in range(max(0, l + N - W), min(l, N - 1) + 1)
                  for m in range(max(0, k + M - H), min(k, M - 1) + 1))
              for p in range(r)]
             for l in range(W)]
            for k in range(H)]
