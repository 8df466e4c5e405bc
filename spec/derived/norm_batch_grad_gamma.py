"""norm.batch.grad_gamma, made by `chainrule derive`. The steps are in norm_batch_grad_gamma.md."""

from chainrule.scalar import sqrt


def norm_batch_grad_gamma(d, x, eps):
    """∂ℒ/∂γ = Σ_{i=0}^{n−1} d_i x̂_i"""
    n = len(d)
    mu = sum(x[k] for k in range(n)) / n
    v = sum((x[k] - mu) ** 2 for k in range(n)) / n
    s = sqrt(v + eps)
    xhat = [(x[i] - mu) / s for i in range(n)]
    return sum(d[i] * xhat[i] for i in range(n))


def norm_batch_grad_gamma_jvp(gamma_dot, x, eps):
    """ẏ_i = γ̇ x̂_i,   0 ≤ i ≤ n − 1"""
    n = len(x)
    mu = sum(x[k] for k in range(n)) / n
    v = sum((x[k] - mu) ** 2 for k in range(n)) / n
    s = sqrt(v + eps)
    xhat = [(x[i] - mu) / s for i in range(n)]
    return [gamma_dot * xhat[i] for i in range(n)]


def norm_batch_grad_gamma_hvp(d_dot, d, x, eps):
    """(∂ℒ/∂γ)˙ = Σ_{i=0}^{n−1} ḋ_i x̂_i"""
    n = len(d)
    mu = sum(x[k] for k in range(n)) / n
    v = sum((x[k] - mu) ** 2 for k in range(n)) / n
    s = sqrt(v + eps)
    xhat = [(x[i] - mu) / s for i in range(n)]
    return sum(d_dot[i] * xhat[i] for i in range(n))
