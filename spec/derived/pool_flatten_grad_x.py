"""pool.flatten.grad_x, made by `chainrule derive`. The steps are in pool_flatten_grad_x.md."""


def pool_flatten_grad_x(d, H, W):
    """∂ℒ/∂x_{k,p,q} = d_{HWk+Wp+q},   0 ≤ k ≤ C − 1, 0 ≤ p ≤ H − 1, 0 ≤ q ≤ W − 1"""
    C = len(d) // (H * W)
    return [[[d[H * W * k + W * p + q] for q in range(W)] for p in range(H)] for k in range(C)]
