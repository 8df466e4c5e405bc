"""norm.layer.grad_beta, made by `chainrule derive`. The steps are in norm_layer_grad_beta.md."""


def norm_layer_grad_beta(d):
    """∂ℒ/∂β_p = d_p,   0 ≤ p ≤ n − 1"""
    n = len(d)
    return [d[p] for p in range(n)]


def norm_layer_grad_beta_jvp(beta_dot):
    """ẏ_i = β̇_i,   0 ≤ i ≤ n − 1"""
    n = len(beta_dot)
    return [beta_dot[i] for i in range(n)]


def norm_layer_grad_beta_hvp(d_dot, d):
    """(∂ℒ/∂β_p)˙ = ḋ_p,   0 ≤ p ≤ n − 1"""
    n = len(d)
    return [d_dot[p] for p in range(n)]
