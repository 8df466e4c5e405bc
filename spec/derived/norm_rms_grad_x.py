"""norm.rms.grad_x, made by `chainrule derive`. The steps are in norm_rms_grad_x.md."""

from chainrule.scalar import sqrt


def norm_rms_grad_x(d, x, gamma, eps):
    """∂ℒ/∂x_p = g_p/s − x_p m_1/s³,   0 ≤ p ≤ n − 1"""
    n = len(d)
    s = sqrt(eps + sum(x[k] ** 2 for k in range(n)) / n)
    g = [gamma[i] * d[i] for i in range(n)]
    m_1 = sum(g[i] * x[i] for i in range(n)) / n
    return [g[p] / s - x[p] * m_1 / s ** 3 for p in range(n)]


def norm_rms_grad_x_jvp(x_dot, x, gamma, eps):
    """ẏ_i = γ_i ẋ_i/s − γ_i x_i ṡ/s²,   0 ≤ i ≤ n − 1"""
    n = len(x_dot)
    s = sqrt(eps + sum(x[k] ** 2 for k in range(n)) / n)
    s_dot = sum(x[k] * x_dot[k]
                for k in range(n)) / (n * sqrt(eps + sum(x[k] ** 2
                                                         for k in range(n)) / n))
    return [gamma[i] * x_dot[i] / s - gamma[i] * x[i] * s_dot / s ** 2 for i in range(n)]


def norm_rms_grad_x_hvp(d_dot, x_dot, d, x, gamma, eps):
    """(∂ℒ/∂x_p)˙ = 3 x_p m_1 ṡ/s⁴ + ġ_p/s − g_p ṡ/s² − ẋ_p m_1/s³ − x_p ṁ_1/s³,   0 ≤ p ≤ n − 1"""
    n = len(d)
    s = sqrt(eps + sum(x[k] ** 2 for k in range(n)) / n)
    s_dot = sum(x[k] * x_dot[k]
                for k in range(n)) / (n * sqrt(eps + sum(x[k] ** 2
                                                         for k in range(n)) / n))
    g = [gamma[i] * d[i] for i in range(n)]
    g_dot = [gamma[i] * d_dot[i] for i in range(n)]
    m_1 = sum(g[i] * x[i] for i in range(n)) / n
    m_1_dot = sum(g_dot[i] * x[i] + g[i] * x_dot[i] for i in range(n)) / n
    return [3 * x[p] * m_1 * s_dot / s ** 4
            + g_dot[p] / s
            - g[p] * s_dot / s ** 2
            - x_dot[p] * m_1 / s ** 3
            - x[p] * m_1_dot / s ** 3
            for p in range(n)]
