"""norm.layer.grad_x, made by `chainrule derive`. The steps are in norm_layer_grad_x.md."""

from chainrule.scalar import sqrt


def norm_layer_grad_x(d, x, gamma, eps):
    """∂ℒ/∂x_p = (g_p − m_1 − x̂_p m_2)/s,   0 ≤ p ≤ n − 1"""
    n = len(d)
    mu = sum(x[k] for k in range(n)) / n
    v = sum((x[k] - mu) ** 2 for k in range(n)) / n
    s = sqrt(v + eps)
    xhat = [(x[i] - mu) / s for i in range(n)]
    g = [gamma[i] * d[i] for i in range(n)]
    m_1 = sum(g[i] for i in range(n)) / n
    m_2 = sum(g[i] * xhat[i] for i in range(n)) / n
    return [(g[p] - m_1 - xhat[p] * m_2) / s for p in range(n)]
