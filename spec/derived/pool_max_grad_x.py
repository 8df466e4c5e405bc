"""pool.max.grad_x, made by `chainrule derive`. The steps are in pool_max_grad_x.md."""

from chainrule.scalar import where


def pool_max_grad_x(d, index, H, W):
    """∂ℒ/∂x_{p,q} = Σ_{i=0}^{A−1} Σ_{j=0}^{B−1} d_{i,j} [W p + q = index_{i,j}]
    0 ≤ p ≤ H − 1, 0 ≤ q ≤ W − 1"""
    A = len(d)
    B = len(d[0])
    return [[sum(where(W * p + q == index[i][j], d[i][j], 0)
                 for i in range(A)
                 for j in range(B))
             for q in range(W)]
            for p in range(H)]
