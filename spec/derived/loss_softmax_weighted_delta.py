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
