"""norm.batch.grad_x, made by `chainrule derive`. The steps are in norm_batch_grad_x.md."""

from chainrule.scalar import sqrt


def norm_batch_grad_x(d, x, gamma, eps):
    """∂ℒ/∂x_p = γ (d_p − m_1 − x̂_p m_2)/s,   0 ≤ p ≤ n − 1"""
    n = len(d)
    mu = sum(x[k] for k in range(n)) / n
    v = sum((x[k] - mu) ** 2 for k in range(n)) / n
    s = sqrt(v + eps)
    xhat = [(x[i] - mu) / s for i in range(n)]
    m_1 = sum(d[i] for i in range(n)) / n
    m_2 = sum(d[i] * xhat[i] for i in range(n)) / n
    return [gamma * (d[p] - m_1 - xhat[p] * m_2) / s for p in range(n)]


def norm_batch_grad_x_jvp(x_dot, x, gamma, eps):
    """ẏ_i = γ x̂̇_i,   0 ≤ i ≤ n − 1"""
    n = len(x_dot)
    mu = sum(x[k] for k in range(n)) / n
    mu_dot = sum(x_dot[k] for k in range(n)) / n
    v = sum((x[k] - mu) ** 2 for k in range(n)) / n
    v_dot = sum((2 * x[k] - 2 * mu) * (x_dot[k] - mu_dot) for k in range(n)) / n
    s = sqrt(v + eps)
    s_dot = v_dot / (2 * sqrt(v + eps))
    xhat_dot = [(x_dot[i] - mu_dot) / s - s_dot * (x[i] - mu) / s ** 2 for i in range(n)]
    return [gamma * xhat_dot[i] for i in range(n)]


def norm_batch_grad_x_hvp(d_dot, x_dot, d, x, gamma, eps):
    """(∂ℒ/∂x_p)˙ = γ (ḋ_p − ṁ_1 − x̂̇_p m_2 − x̂_p ṁ_2)/s − γ ṡ (d_p − m_1 − x̂_p m_2)/s²
    0 ≤ p ≤ n − 1"""
    n = len(d)
    mu = sum(x[k] for k in range(n)) / n
    mu_dot = sum(x_dot[k] for k in range(n)) / n
    v = sum((x[k] - mu) ** 2 for k in range(n)) / n
    v_dot = sum((2 * x[k] - 2 * mu) * (x_dot[k] - mu_dot) for k in range(n)) / n
    s = sqrt(v + eps)
    s_dot = v_dot / (2 * sqrt(v + eps))
    xhat = [(x[i] - mu) / s for i in range(n)]
    xhat_dot = [(x_dot[i] - mu_dot) / s - s_dot * (x[i] - mu) / s ** 2 for i in range(n)]
    m_1 = sum(d[i] for i in range(n)) / n
    m_1_dot = sum(d_dot[i] for i in range(n)) / n
    m_2 = sum(d[i] * xhat[i] for i in range(n)) / n
    m_2_dot = sum(d_dot[i] * xhat[i] + d[i] * xhat_dot[i] for i in range(n)) / n
    return [gamma * (d_dot[p] - m_1_dot - xhat_dot[p] * m_2 - xhat[p] * m_2_dot) / s
            - gamma * s_dot * (d[p] - m_1 - xhat[p] * m_2) / s ** 2
            for p in range(n)]
