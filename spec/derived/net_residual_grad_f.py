"""net.residual.grad_f, made by `chainrule derive`. The steps are in net_residual_grad_f.md."""


def net_residual_grad_f(delta):
    """∂ℒ/∂f_k = δ_k,   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [delta[k] for k in range(n)]


def net_residual_grad_f_jvp(f_dot):
    """ż_i = ḟ_i,   0 ≤ i ≤ n − 1"""
    n = len(f_dot)
    return [f_dot[i] for i in range(n)]


def net_residual_grad_f_hvp(delta_dot, delta):
    """(∂ℒ/∂f_k)˙ = δ̇_k,   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [delta_dot[k] for k in range(n)]
