"""act.softmax.prime, made by `chainrule derive`. The steps are in act_softmax_prime.md."""

from chainrule.scalar import exp


def act_softmax_prime(d, z):
    """∂ℒ/∂z_i = p_i (d_i − m),   0 ≤ i ≤ n − 1"""
    n = len(z)
    N = sum(exp(z[t]) for t in range(n))
    p = [exp(z[k]) / N for k in range(n)]
    m = sum(p[k] * d[k] for k in range(n))
    return [p[i] * (d[i] - m) for i in range(n)]
