"""norm.batch.inference.grad_beta, made by `chainrule derive`. The steps are in norm_batch_inference_grad_beta.md."""


def norm_batch_inference_grad_beta(delta):
    """∂ℒ/∂β = Σ_{i=0}^{n−1} δ_i"""
    n = len(delta)
    return sum(delta[i] for i in range(n))


def norm_batch_inference_grad_beta_jvp(beta_dot, n):
    """ż_i = β̇,   0 ≤ i ≤ n − 1"""
    return [beta_dot for i in range(n)]


def norm_batch_inference_grad_beta_hvp(delta_dot, delta):
    """(∂ℒ/∂β)˙ = Σ_{i=0}^{n−1} δ̇_i"""
    n = len(delta)
    return sum(delta_dot[i] for i in range(n))
