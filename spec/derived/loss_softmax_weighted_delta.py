"""loss.softmax.weighted.delta, made by `chainrule derive`. The steps are in loss_softmax_weighted_delta.md."""

from chainrule.scalar import exp


def loss_softmax_weighted_delta(z, y, w, eps):
    """∂ℒ/∂z_i = p_i T − t_i,   0 ≤ i ≤ K − 1"""
    K = len(z)
    N = sum(exp(z[j]) for j in range(K))
    p = [exp(z[k]) / N for k in range(K)]
    t = [w[k] * (y[k] * (1 - eps) + eps / K) for k in range(K)]
    T = sum(t[k] for k in range(K))
    return [p[i] * T - t[i] for i in range(K)]


def loss_softmax_weighted_delta_jvp(z_dot, z, y, w, eps):
    """ℒ̇ = −Σ_{k=0}^{K−1} ṗ_k t_k/p_k"""
    K = len(z_dot)
    N = sum(exp(z[j]) for j in range(K))
    N_dot = sum(z_dot[j] * exp(z[j]) for j in range(K))
    p = [exp(z[k]) / N for k in range(K)]
    p_dot = [z_dot[k] * exp(z[k]) / N - N_dot * exp(z[k]) / N ** 2 for k in range(K)]
    t = [w[k] * (y[k] * (1 - eps) + eps / K) for k in range(K)]
    return -sum(p_dot[k] * t[k] / p[k] for k in range(K))


def loss_softmax_weighted_delta_hvp(z_dot, z, y, w, eps):
    """(∂ℒ/∂z_i)˙ = ṗ_i T,   0 ≤ i ≤ K − 1"""
    K = len(z)
    N = sum(exp(z[j]) for j in range(K))
    N_dot = sum(z_dot[j] * exp(z[j]) for j in range(K))
    p_dot = [z_dot[k] * exp(z[k]) / N - N_dot * exp(z[k]) / N ** 2 for k in range(K)]
    t = [w[k] * (y[k] * (1 - eps) + eps / K) for k in range(K)]
    T = sum(t[k] for k in range(K))
    return [p_dot[i] * T for i in range(K)]
