"""net.residual.grad_x, made by `chainrule derive`. The steps are in net_residual_grad_x.md."""


def net_residual_grad_x(delta):
    """∂ℒ/∂x_k = δ_k,   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [delta[k] for k in range(n)]
