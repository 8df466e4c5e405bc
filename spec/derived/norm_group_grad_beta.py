"""norm.group.grad_beta, made by `chainrule derive`. The steps are in norm_group_grad_beta.md."""


def norm_group_grad_beta(d):
    """∂ℒ/∂β_{k,l} = Σ_{p=0}^{P−1} d_{k,l,p},   0 ≤ k ≤ G − 1, 0 ≤ l ≤ K − 1"""
    G = len(d)
    K = len(d[0])
    P = len(d[0][0])
    return [[sum(d[k][l][p] for p in range(P)) for l in range(K)] for k in range(G)]


def norm_group_grad_beta_jvp(beta_dot, P):
    """ẏ_{i,c,p} = β̇_{i,c},   0 ≤ i ≤ G − 1, 0 ≤ c ≤ K − 1, 0 ≤ p ≤ P − 1"""
    G = len(beta_dot)
    K = len(beta_dot[0])
    return [[[beta_dot[i][c] for p in range(P)] for c in range(K)] for i in range(G)]


def norm_group_grad_beta_hvp(d_dot, d):
    """(∂ℒ/∂β_{k,l})˙ = Σ_{p=0}^{P−1} ḋ_{k,l,p},   0 ≤ k ≤ G − 1, 0 ≤ l ≤ K − 1"""
    G = len(d)
    K = len(d[0])
    P = len(d[0][0])
    return [[sum(d_dot[k][l][p] for p in range(P)) for l in range(K)] for k in range(G)]
