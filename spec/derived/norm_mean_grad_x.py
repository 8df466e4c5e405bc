"""norm.mean.grad_x, made by `chainrule derive`. The steps are in norm_mean_grad_x.md."""


def norm_mean_grad_x(delta, n):
    """∂ℒ/∂x_k = δ/n,   0 ≤ k ≤ n − 1"""
    return [delta / n for k in range(n)]
