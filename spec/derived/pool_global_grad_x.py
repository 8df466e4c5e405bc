"""pool.global.grad_x, made by `chainrule derive`. The steps are in pool_global_grad_x.md."""


def pool_global_grad_x(delta, H, W):
    """∂ℒ/∂x_{k,l,m} = δ_k/(H W),   0 ≤ k ≤ C − 1, 0 ≤ l ≤ H − 1, 0 ≤ m ≤ W − 1"""
    C = len(delta)
    return [[[delta[k] / (H * W) for m in range(W)] for l in range(H)] for k in range(C)]


def pool_global_grad_x_jvp(x_dot):
    """ż_c = (1/(H W)) Σ_{j=0}^{W−1} Σ_{i=0}^{H−1} ẋ_{c,i,j},   0 ≤ c ≤ C − 1"""
    C = len(x_dot)
    H = len(x_dot[0])
    W = len(x_dot[0][0])
    return [sum(x_dot[c][i][j] for j in range(W) for i in range(H)) / (H * W) for c in range(C)]


def pool_global_grad_x_hvp(delta_dot, delta, H, W):
    """(∂ℒ/∂x_{k,l,m})˙ = δ̇_k/(H W),   0 ≤ k ≤ C − 1, 0 ≤ l ≤ H − 1, 0 ≤ m ≤ W − 1"""
    C = len(delta)
    return [[[delta_dot[k] / (H * W) for m in range(W)] for l in range(H)] for k in range(C)]
