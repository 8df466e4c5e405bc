"""norm.group.grad_x, made by `chainrule derive`. The steps are in norm_group_grad_x.md."""

from chainrule.scalar import sqrt


def norm_group_grad_x(d, x, gamma, eps):
    """∂ℒ/∂x_{k,l,w} = (g_{k,l,w} − m₁_k − x̂_{k,l,w} m₂_k)/s_k
    0 ≤ k ≤ G − 1, 0 ≤ l ≤ K − 1, 0 ≤ w ≤ P − 1"""
    G = len(x)
    K = len(x[0])
    P = len(x[0][0])
    mu = [sum(x[i][e][q] for e in range(K) for q in range(P)) / (K * P) for i in range(G)]
    v = [sum((x[i][e][q] - mu[i]) ** 2
             for e in range(K)
             for q in range(P)) / (K * P)
         for i in range(G)]
    s = [sqrt(v[i] + eps) for i in range(G)]
    xhat = [[[(x[i][c][p] - mu[i]) / s[i] for p in range(P)] for c in range(K)] for i in range(G)]
    g = [[[gamma[i][c] * d[i][c][p] for p in range(P)] for c in range(K)] for i in range(G)]
    m_1 = [sum(g[i][e][q] for e in range(K) for q in range(P)) / (K * P) for i in range(G)]
    m_2 = [sum(g[i][e][q] * xhat[i][e][q]
               for e in range(K)
               for q in range(P)) / (K * P)
           for i in range(G)]
    return [[[(g[k][l][w] - m_1[k] - xhat[k][l][w] * m_2[k]) / s[k]
              for w in range(P)]
             for l in range(K)]
            for k in range(G)]


def norm_group_grad_x_jvp(x_dot, x, gamma, eps):
    """ẏ_{i,c,p} = γ_{i,c} x̂̇_{i,c,p},   0 ≤ i ≤ G − 1, 0 ≤ c ≤ K − 1, 0 ≤ p ≤ P − 1"""
    G = len(x_dot)
    K = len(x_dot[0])
    P = len(x_dot[0][0])
    mu = [sum(x[i][e][q] for e in range(K) for q in range(P)) / (K * P) for i in range(G)]
    mu_dot = [sum(x_dot[i][e][q] for e in range(K) for q in range(P)) / (K * P) for i in range(G)]
    v = [sum((x[i][e][q] - mu[i]) ** 2
             for e in range(K)
             for q in range(P)) / (K * P)
         for i in range(G)]
    v_dot = [sum((2 * x[i][e][q] - 2 * mu[i]) * (x_dot[i][e][q] - mu_dot[i])
                 for e in range(K)
                 for q in range(P)) / (K * P)
             for i in range(G)]
    s = [sqrt(v[i] + eps) for i in range(G)]
    s_dot = [v_dot[i] / (2 * sqrt(v[i] + eps)) for i in range(G)]
    xhat_dot = [[[(x_dot[i][c][p] - mu_dot[i]) / s[i] - s_dot[i] * (x[i][c][p] - mu[i]) / s[i] ** 2
                  for p in range(P)]
                 for c in range(K)]
                for i in range(G)]
    return [[[gamma[i][c] * xhat_dot[i][c][p]
              for p in range(P)]
             for c in range(K)]
            for i in range(G)]


def norm_group_grad_x_hvp(d_dot, x_dot, d, x, gamma, eps):
    """(∂ℒ/∂x_{k,l,w})˙ = (ġ_{k,l,w} − ṁ₁_k − x̂_{k,l,w} ṁ₂_k − x̂̇_{k,l,w} m₂_k)/s_k − ṡ_k
                       (g_{k,l,w} − m₁_k − x̂_{k,l,w} m₂_k)/(s_k)²
    0 ≤ k ≤ G − 1, 0 ≤ l ≤ K − 1, 0 ≤ w ≤ P − 1"""
    G = len(x)
    K = len(x[0])
    P = len(x[0][0])
    mu = [sum(x[i][e][q] for e in range(K) for q in range(P)) / (K * P) for i in range(G)]
    mu_dot = [sum(x_dot[i][e][q] for e in range(K) for q in range(P)) / (K * P) for i in range(G)]
    v = [sum((x[i][e][q] - mu[i]) ** 2
             for e in range(K)
             for q in range(P)) / (K * P)
         for i in range(G)]
    v_dot = [sum((2 * x[i][e][q] - 2 * mu[i]) * (x_dot[i][e][q] - mu_dot[i])
                 for e in range(K)
                 for q in range(P)) / (K * P)
             for i in range(G)]
    s = [sqrt(v[i] + eps) for i in range(G)]
    s_dot = [v_dot[i] / (2 * sqrt(v[i] + eps)) for i in range(G)]
    xhat = [[[(x[i][c][p] - mu[i]) / s[i] for p in range(P)] for c in range(K)] for i in range(G)]
    xhat_dot = [[[(x_dot[i][c][p] - mu_dot[i]) / s[i] - s_dot[i] * (x[i][c][p] - mu[i]) / s[i] ** 2
                  for p in range(P)]
                 for c in range(K)]
                for i in range(G)]
    g = [[[gamma[i][c] * d[i][c][p] for p in range(P)] for c in range(K)] for i in range(G)]
    g_dot = [[[gamma[i][c] * d_dot[i][c][p] for p in range(P)] for c in range(K)] for i in range(G)]
    m_1 = [sum(g[i][e][q] for e in range(K) for q in range(P)) / (K * P) for i in range(G)]
    m_1_dot = [sum(g_dot[i][e][q] for e in range(K) for q in range(P)) / (K * P) for i in range(G)]
    m_2 = [sum(g[i][e][q] * xhat[i][e][q]
               for e in range(K)
               for q in range(P)) / (K * P)
           for i in range(G)]
    m_2_dot = [sum(g_dot[i][e][q] * xhat[i][e][q] + g[i][e][q] * xhat_dot[i][e][q]
                   for e in range(K)
                   for q in range(P)) / (K * P)
               for i in range(G)]
    return [[[(g_dot[k][l][w] - m_1_dot[k] - xhat[k][l][w] * m_2_dot[k] - xhat_dot[k][l][w] * m_2[k]) / s[k] - s_dot[k] * (g[k][l][w] - m_1[k] - xhat[k][l][w] * m_2[k]) / s[k] ** 2
              for w in range(P)]
             for l in range(K)]
            for k in range(G)]
