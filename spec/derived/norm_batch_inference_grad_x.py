"""norm.batch.inference.grad_x, made by `chainrule derive`. The steps are in norm_batch_inference_grad_x.md."""

from chainrule.scalar import sqrt


def norm_batch_inference_grad_x(delta, var, gamma, eps):
    """∂ℒ/∂x_k = δ_k γ/√(var + ε),   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [delta[k] * gamma / sqrt(var + eps) for k in range(n)]


def norm_batch_inference_grad_x_jvp(x_dot, var, gamma, eps):
    """ż_i = γ ẋ_i/√(var + ε),   0 ≤ i ≤ n − 1"""
    n = len(x_dot)
    return [gamma * x_dot[i] / sqrt(var + eps) for i in range(n)]


def norm_batch_inference_grad_x_hvp(delta_dot, delta, var, gamma, eps):
    """(∂ℒ/∂x_k)˙ = δ̇_k γ/√(var + ε),   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [delta_dot[k] * gamma / sqrt(var + eps) for k in range(n)]
