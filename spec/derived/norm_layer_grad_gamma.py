"""norm.layer.grad_gamma, made by `chainrule derive`. The steps are in norm_layer_grad_gamma.md."""

from chainrule.scalar import sqrt


def norm_layer_grad_gamma(d, x, eps):
    """∂ℒ/∂γ_p = d_p x̂_p,   0 ≤ p ≤ n − 1"""
    n = len(d)
    mu = sum(x[k] for k in range(n)) / n
    v = sum((x[k] - mu) ** 2 for k in range(n)) / n
    s = sqrt(v + eps)
    xhat = [(x[i] - mu) / s for i in range(n)]
    return [d[p] * xhat[p] for p in range(n)]


def norm_layer_grad_gamma_jvp(gamma_dot, x, eps):
    """ẏ_i = γ̇_i x̂_i,   0 ≤ i ≤ n − 1"""
    n = len(gamma_dot)
    mu = sum(x[k] for k in range(n)) / n
    v = sum((x[k] - mu) ** 2 for k in range(n)) / n
    s = sqrt(v + eps)
    xhat = [(x[i] - mu) / s for i in range(n)]
    return [gamma_dot[i] * xhat[i] for i in range(n)]


def norm_layer_grad_gamma_hvp(d_dot, d, x, eps):
    """(∂ℒ/∂γ_p)˙ = ḋ_p x̂_p,   0 ≤ p ≤ n − 1"""
    n = len(d)
    mu = sum(x[k] for k in range(n)) / n
    v = sum((x[k] - mu) ** 2 for k in range(n)) / n
    s = sqrt(v + eps)
    xhat = [(x[i] - mu) / s for i in range(n)]
    return [d_dot[p] * xhat[p] for p in range(n)]
