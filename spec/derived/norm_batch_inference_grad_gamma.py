"""norm.batch.inference.grad_gamma, made by `chainrule derive`. The steps are in norm_batch_inference_grad_gamma.md."""

from chainrule.scalar import sqrt


def norm_batch_inference_grad_gamma(delta, x, mu, var, eps):
    """∂ℒ/∂γ = Σ_{i=0}^{n−1} δ_i (x_i − μ)/√(var + ε)"""
    n = len(delta)
    return sum(delta[i] * (x[i] - mu) / sqrt(var + eps) for i in range(n))


def norm_batch_inference_grad_gamma_jvp(gamma_dot, x, mu, var, eps):
    """ż_i = γ̇ (x_i − μ)/√(var + ε),   0 ≤ i ≤ n − 1"""
    n = len(x)
    return [gamma_dot * (x[i] - mu) / sqrt(var + eps) for i in range(n)]


def norm_batch_inference_grad_gamma_hvp(delta_dot, delta, x, mu, var, eps):
    """(∂ℒ/∂γ)˙ = Σ_{i=0}^{n−1} δ̇_i (x_i − μ)/√(var + ε)"""
    n = len(delta)
    return sum(delta_dot[i] * (x[i] - mu) / sqrt(var + eps) for i in range(n))
