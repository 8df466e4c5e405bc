"""norm.rms.grad_gamma, made by `chainrule derive`. The steps are in norm_rms_grad_gamma.md."""

from chainrule.scalar import sqrt


def norm_rms_grad_gamma(d, x, eps):
    """∂ℒ/∂γ_p = d_p x_p/s,   0 ≤ p ≤ n − 1"""
    n = len(d)
    s = sqrt(eps + sum(x[k] ** 2 for k in range(n)) / n)
    return [d[p] * x[p] / s for p in range(n)]


def norm_rms_grad_gamma_jvp(gamma_dot, x, eps):
    """ẏ_i = γ̇_i x_i/s,   0 ≤ i ≤ n − 1"""
    n = len(gamma_dot)
    s = sqrt(eps + sum(x[k] ** 2 for k in range(n)) / n)
    return [gamma_dot[i] * x[i] / s for i in range(n)]


def norm_rms_grad_gamma_hvp(d_dot, d, x, eps):
    """(∂ℒ/∂γ_p)˙ = ḋ_p x_p/s,   0 ≤ p ≤ n − 1"""
    n = len(d)
    s = sqrt(eps + sum(x[k] ** 2 for k in range(n)) / n)
    return [d_dot[p] * x[p] / s for p in range(n)]
