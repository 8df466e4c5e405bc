"""norm.instance.grad_x, made by `chainrule derive`. The steps are in norm_instance_grad_x.md."""

from chainrule.scalar import sqrt


def norm_instance_grad_x(d, x, gamma, eps):
    """∂ℒ/∂x_{k,w} = (g_{k,w} − m₁_k − x̂_{k,w} m₂_k)/s_k,   0 ≤ k ≤ K − 1, 0 ≤ w ≤ P − 1"""
    K = len(x)
    P = len(x[0])
    mu = [sum(x[i][q] for q in range(P)) / P for i in range(K)]
    v = [sum((x[i][q] - mu[i]) ** 2 for q in range(P)) / P for i in range(K)]
    s = [sqrt(v[i] + eps) for i in range(K)]
    xhat = [[(x[i][p] - mu[i]) / s[i] for p in range(P)] for i in range(K)]
    g = [[gamma[i] * d[i][p] for p in range(P)] for i in range(K)]
    m_1 = [sum(g[i][q] for q in range(P)) / P for i in range(K)]
    m_2 = [sum(g[i][q] * xhat[i][q] for q in range(P)) / P for i in range(K)]
    return [[(g[k][w] - m_1[k] - xhat[k][w] * m_2[k]) / s[k] for w in range(P)] for k in range(K)]


def norm_instance_grad_x_jvp(x_dot, x, gamma, eps):
    """ẏ_{i,p} = γ_i x̂̇_{i,p},   0 ≤ i ≤ K − 1, 0 ≤ p ≤ P − 1"""
    K = len(x_dot)
    P = len(x_dot[0])
    mu = [sum(x[i][q] for q in range(P)) / P for i in range(K)]
    mu_dot = [sum(x_dot[i][q] for q in range(P)) / P for i in range(K)]
    v = [sum((x[i][q] - mu[i]) ** 2 for q in range(P)) / P for i in range(K)]
    v_dot = [sum((2 * x[i][q] - 2 * mu[i]) * (x_dot[i][q] - mu_dot[i])
                 for q in range(P)) / P
             for i in range(K)]
    s = [sqrt(v[i] + eps) for i in range(K)]
    s_dot = [v_dot[i] / (2 * sqrt(v[i] + eps)) for i in range(K)]
    xhat_dot = [[(x_dot[i][p] - mu_dot[i]) / s[i] - s_dot[i] * (x[i][p] - mu[i]) / s[i] ** 2
                 for p in range(P)]
                for i in range(K)]
    return [[gamma[i] * xhat_dot[i][p] for p in range(P)] for i in range(K)]


def norm_instance_grad_x_hvp(d_dot, x_dot, d, x, gamma, eps):
    """(∂ℒ/∂x_{k,w})˙ = (ġ_{k,w} − ṁ₁_k − x̂_{k,w} ṁ₂_k − x̂̇_{k,w} m₂_k)/s_k − ṡ_k
                     (g_{k,w} − m₁_k − x̂_{k,w} m₂_k)/(s_k)²
    0 ≤ k ≤ K − 1, 0 ≤ w ≤ P − 1"""
    K = len(x)
    P = len(x[0])
    mu = [sum(x[i][q] for q in range(P)) / P for i in range(K)]
    mu_dot = [sum(x_dot[i][q] for q in range(P)) / P for i in range(K)]
    v = [sum((x[i][q] - mu[i]) ** 2 for q in range(P)) / P for i in range(K)]
    v_dot = [sum((2 * x[i][q] - 2 * mu[i]) * (x_dot[i][q] - mu_dot[i])
                 for q in range(P)) / P
             for i in range(K)]
    s = [sqrt(v[i] + eps) for i in range(K)]
    s_dot = [v_dot[i] / (2 * sqrt(v[i] + eps)) for i in range(K)]
    xhat = [[(x[i][p] - mu[i]) / s[i] for p in range(P)] for i in range(K)]
    xhat_dot = [[(x_dot[i][p] - mu_dot[i]) / s[i] - s_dot[i] * (x[i][p] - mu[i]) / s[i] ** 2
                 for p in range(P)]
                for i in range(K)]
    g = [[gamma[i] * d[i][p] for p in range(P)] for i in range(K)]
    g_dot = [[gamma[i] * d_dot[i][p] for p in range(P)] for i in range(K)]
    m_1 = [sum(g[i][q] for q in range(P)) / P for i in range(K)]
    m_1_dot = [sum(g_dot[i][q] for q in range(P)) / P for i in range(K)]
    m_2 = [sum(g[i][q] * xhat[i][q] for q in range(P)) / P for i in range(K)]
    m_2_dot = [sum(g_dot[i][q] * xhat[i][q] + g[i][q] * xhat_dot[i][q]
                   for q in range(P)) / P
               for i in range(K)]
    return [[(g_dot[k][w] - m_1_dot[k] - xhat[k][w] * m_2_dot[k] - xhat_dot[k][w] * m_2[k]) / s[k]
             - s_dot[k] * (g[k][w] - m_1[k] - xhat[k][w] * m_2[k]) / s[k] ** 2
             for w in range(P)]
            for k in range(K)]
