"""norm.instance.grad_gamma, made by `chainrule derive`. The steps are in norm_instance_grad_gamma.md."""

from chainrule.scalar import sqrt


def norm_instance_grad_gamma(d, x, eps):
    """∂ℒ/∂γ_k = Σ_{p=0}^{P−1} d_{k,p} x̂_{k,p},   0 ≤ k ≤ K − 1"""
    K = len(x)
    P = len(x[0])
    mu = [sum(x[i][q] for q in range(P)) / P for i in range(K)]
    v = [sum((x[i][q] - mu[i]) ** 2 for q in range(P)) / P for i in range(K)]
    s = [sqrt(v[i] + eps) for i in range(K)]
    xhat = [[(x[i][p] - mu[i]) / s[i] for p in range(P)] for i in range(K)]
    return [sum(d[k][p] * xhat[k][p] for p in range(P)) for k in range(K)]


def norm_instance_grad_gamma_jvp(gamma_dot, x, eps):
    """ẏ_{i,p} = γ̇_i x̂_{i,p},   0 ≤ i ≤ K − 1, 0 ≤ p ≤ P − 1"""
    K = len(gamma_dot)
    P = len(x[0])
    mu = [sum(x[i][q] for q in range(P)) / P for i in range(K)]
    v = [sum((x[i][q] - mu[i]) ** 2 for q in range(P)) / P for i in range(K)]
    s = [sqrt(v[i] + eps) for i in range(K)]
    xhat = [[(x[i][p] - mu[i]) / s[i] for p in range(P)] for i in range(K)]
    return [[gamma_dot[i] * xhat[i][p] for p in range(P)] for i in range(K)]


def norm_instance_grad_gamma_hvp(d_dot, d, x, eps):
    """(∂ℒ/∂γ_k)˙ = Σ_{p=0}^{P−1} ḋ_{k,p} x̂_{k,p},   0 ≤ k ≤ K − 1"""
    K = len(x)
    P = len(x[0])
    mu = [sum(x[i][q] for q in range(P)) / P for i in range(K)]
    v = [sum((x[i][q] - mu[i]) ** 2 for q in range(P)) / P for i in range(K)]
    s = [sqrt(v[i] + eps) for i in range(K)]
    xhat = [[(x[i][p] - mu[i]) / s[i] for p in range(P)] for i in range(K)]
    return [sum(d_dot[k][p] * xhat[k][p] for p in range(P)) for k in range(K)]
