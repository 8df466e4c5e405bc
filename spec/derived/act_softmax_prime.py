"""act.softmax.prime, made by `chainrule derive`. The steps are in act_softmax_prime.md."""

from chainrule.scalar import exp


def act_softmax_prime(d, z):
    """∂ℒ/∂z_i = p_i (d_i − m),   0 ≤ i ≤ K − 1"""
    K = len(z)
    N = sum(exp(z[t]) for t in range(K))
    p = [exp(z[k]) / N for k in range(K)]
    m = sum(p[k] * d[k] for k in range(K))
    return [p[i] * (d[i] - m) for i in range(K)]


def act_softmax_prime_jvp(z_dot, z):
    """ẏ_k = ṗ_k,   0 ≤ k ≤ K − 1"""
    K = len(z_dot)
    N = sum(exp(z[t]) for t in range(K))
    N_dot = sum(z_dot[t] * exp(z[t]) for t in range(K))
    p_dot = [z_dot[k] * exp(z[k]) / N - N_dot * exp(z[k]) / N ** 2 for k in range(K)]
    return [p_dot[k] for k in range(K)]


def act_softmax_prime_hvp(d_dot, z_dot, d, z):
    """(∂ℒ/∂z_i)˙ = ṗ_i (d_i − m) + p_i (ḋ_i − ṁ),   0 ≤ i ≤ K − 1"""
    K = len(z)
    N = sum(exp(z[t]) for t in range(K))
    N_dot = sum(z_dot[t] * exp(z[t]) for t in range(K))
    p = [exp(z[k]) / N for k in range(K)]
    p_dot = [z_dot[k] * exp(z[k]) / N - N_dot * exp(z[k]) / N ** 2 for k in range(K)]
    m = sum(p[k] * d[k] for k in range(K))
    m_dot = sum(p[k] * d_dot[k] + p_dot[k] * d[k] for k in range(K))
    return [p_dot[i] * (d[i] - m) + p[i] * (d_dot[i] - m_dot) for i in range(K)]
