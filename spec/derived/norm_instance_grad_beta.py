"""norm.instance.grad_beta, made by `chainrule derive`. The steps are in norm_instance_grad_beta.md."""


def norm_instance_grad_beta(d):
    """∂ℒ/∂β_k = Σ_{p=0}^{P−1} d_{k,p},   0 ≤ k ≤ K − 1"""
    K = len(d)
    P = len(d[0])
    return [sum(d[k][p] for p in range(P)) for k in range(K)]


def norm_instance_grad_beta_jvp(beta_dot, P):
    """ẏ_{i,p} = β̇_i,   0 ≤ i ≤ K − 1, 0 ≤ p ≤ P − 1"""
    K = len(beta_dot)
    return [[beta_dot[i] for p in range(P)] for i in range(K)]


def norm_instance_grad_beta_hvp(d_dot, d):
    """(∂ℒ/∂β_k)˙ = Σ_{p=0}^{P−1} ḋ_{k,p},   0 ≤ k ≤ K − 1"""
    K = len(d)
    P = len(d[0])
    return [sum(d_dot[k][p] for p in range(P)) for k in range(K)]
