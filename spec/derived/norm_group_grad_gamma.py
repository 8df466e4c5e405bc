"""norm.group.grad_gamma, made by `chainrule derive`. The steps are in norm_group_grad_gamma.md."""

from chainrule.scalar import sqrt


def norm_group_grad_gamma(d, x, eps):
    """∂ℒ/∂γ_{k,l} = Σ_{p=0}^{P−1} d_{k,l,p} x̂_{k,l,p},   0 ≤ k ≤ G − 1, 0 ≤ l ≤ K − 1"""
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
    return [[sum(d[k][l][p] * xhat[k][l][p] for p in range(P)) for l in range(K)] for k in range(G)]


def norm_group_grad_gamma_jvp(gamma_dot, x, eps):
    """ẏ_{i,c,p} = γ̇_{i,c} x̂_{i,c,p},   0 ≤ i ≤ G − 1, 0 ≤ c ≤ K − 1, 0 ≤ p ≤ P − 1"""
    G = len(gamma_dot)
    K = len(gamma_dot[0])
    P = len(x[0][0])
    mu = [sum(x[i][e][q] for e in range(K) for q in range(P)) / (K * P) for i in range(G)]
    v = [sum((x[i][e][q] - mu[i]) ** 2
             for e in range(K)
             for q in range(P)) / (K * P)
         for i in range(G)]
    s = [sqrt(v[i] + eps) for i in range(G)]
    xhat = [[[(x[i][c][p] - mu[i]) / s[i] for p in range(P)] for c in range(K)] for i in range(G)]
    return [[[gamma_dot[i][c] * xhat[i][c][p]
              for p in range(P)]
             for c in range(K)]
            for i in range(G)]


def norm_group_grad_gamma_hvp(d_dot, d, x, eps):
    """(∂ℒ/∂γ_{k,l})˙ = Σ_{p=0}^{P−1} ḋ_{k,l,p} x̂_{k,l,p},   0 ≤ k ≤ G − 1, 0 ≤ l ≤ K − 1"""
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
    return [[sum(d_dot[k][l][p] * xhat[k][l][p]
                 for p in range(P))
             for l in range(K)]
            for k in range(G)]
