"""norm.variance.grad_x, made by `chainrule derive`. The steps are in norm_variance_grad_x.md."""


def norm_variance_grad_x(delta, x):
    """∂ℒ/∂x_p = 2 δ (x_p − μ)/n,   0 ≤ p ≤ n − 1"""
    n = len(x)
    mu = sum(x[k] for k in range(n)) / n
    return [2 * delta * (x[p] - mu) / n for p in range(n)]
