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
