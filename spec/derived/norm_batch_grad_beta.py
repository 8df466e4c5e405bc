"""norm.batch.grad_beta, made by `chainrule derive`. The steps are in norm_batch_grad_beta.md."""


def norm_batch_grad_beta(d):
    """∂ℒ/∂β = Σ_{i=0}^{n−1} d_i"""
    n = len(d)
    return sum(d[i] for i in range(n))


def norm_batch_grad_beta_jvp(beta_dot, n):
    """ẏ_i = β̇,   0 ≤ i ≤ n − 1"""
    return [beta_dot for i in range(n)]


def norm_batch_grad_beta_hvp(d_dot, d):
    """(∂ℒ/∂β)˙ = Σ_{i=0}^{n−1} ḋ_i"""
    n = len(d)
    return sum(d_dot[i] for i in range(n))
