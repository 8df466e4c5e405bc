"""act.softmax.prime, made by `chainrule derive`. The steps are in act_softmax_prime.md."""

from chainrule.scalar import exp


def act_softmax_prime(d, z):
    """∂ℒ/∂z_i = p_i (d_i − m),   0 ≤ i ≤ K − 1"""
    K = len(z)
    N = sum(exp(z[t]) for t in range(K))
    p = [exp(z[k]) / N for k in range(K)]
    m = sum(p[k] * d[k] for k in range(K))
    return [p[i] * (d[i] - m) for i in range(K)]
