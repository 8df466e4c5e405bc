"""loss.softmax.delta, made by `chainrule derive`. The steps are in loss_softmax_delta.md."""

from chainrule.scalar import exp


def loss_softmax_delta(z, y):
    """∂ℒ/∂z_i = p_i Y − y_i,   0 ≤ i ≤ K − 1"""
    K = len(z)
    N = sum(exp(z[j]) for j in range(K))
    p = [exp(z[k]) / N for k in range(K)]
    Y = sum(y[k] for k in range(K))
    return [p[i] * Y - y[i] for i in range(K)]
