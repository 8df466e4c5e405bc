"""net.residual.grad_x, made by `chainrule derive`. The steps are in net_residual_grad_x.md."""


def net_residual_grad_x(delta):
    """∂ℒ/∂x_k = δ_k,   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [delta[k] for k in range(n)]


def net_residual_grad_x_jvp(x_dot):
    """ż_i = ẋ_i,   0 ≤ i ≤ n − 1"""
    n = len(x_dot)
    return [x_dot[i] for i in range(n)]


def net_residual_grad_x_hvp(delta_dot, delta):
    """(∂ℒ/∂x_k)˙ = δ̇_k,   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [delta_dot[k] for k in range(n)]
