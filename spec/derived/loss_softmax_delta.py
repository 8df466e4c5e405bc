"""loss.softmax.delta, made by `chainrule derive`. The steps are in loss_softmax_delta.md."""

from chainrule.scalar import exp


def loss_softmax_delta(z, y):
    """∂ℒ/∂z_i = p_i Y − y_i,   0 ≤ i ≤ K − 1"""
    K = len(z)
    N = sum(exp(z[j]) for j in range(K))
    p = [exp(z[k]) / N for k in range(K)]
    Y = sum(y[k] for k in range(K))
    return [p[i] * Y - y[i] for i in range(K)]


def loss_softmax_delta_jvp(z_dot, z, y):
    """ℒ̇ = −Σ_{k=0}^{K−1} ṗ_k y_k/p_k"""
    K = len(z_dot)
    N = sum(exp(z[j]) for j in range(K))
    N_dot = sum(z_dot[j] * exp(z[j]) for j in range(K))
    p = [exp(z[k]) / N for k in range(K)]
    p_dot = [z_dot[k] * exp(z[k]) / N - N_dot * exp(z[k]) / N ** 2 for k in range(K)]
    return -sum(p_dot[k] * y[k] / p[k] for k in range(K))


def loss_softmax_delta_hvp(z_dot, z, y):
    """(∂ℒ/∂z_i)˙ = ṗ_i Y,   0 ≤ i ≤ K − 1"""
    K = len(z)
    N = sum(exp(z[j]) for j in range(K))
    N_dot = sum(z_dot[j] * exp(z[j]) for j in range(K))
    p_dot = [z_dot[k] * exp(z[k]) / N - N_dot * exp(z[k]) / N ** 2 for k in range(K)]
    Y = sum(y[k] for k in range(K))
    return [p_dot[i] * Y for i in range(K)]
