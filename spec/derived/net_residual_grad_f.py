"""net.residual.grad_f, made by `chainrule derive`. The steps are in net_residual_grad_f.md."""


def net_residual_grad_f(delta):
    """∂ℒ/∂f_k = δ_k,   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [delta[k] for k in range(n)]
