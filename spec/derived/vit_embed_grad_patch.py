"""vit.embed.grad_patch, made by `chainrule derive`. The steps are in vit_embed_grad_patch.md."""


def vit_embed_grad_patch(d, Theta):
    """∂ℒ/∂x_{r,s} = Σ_{e=0}^{D−1} d_{r+1,e} Θ_{e+1,s+1},   0 ≤ r ≤ N − 1, 0 ≤ s ≤ P − 1"""
    N = len(d) - 1
    D = len(d[0])
    P = len(Theta[1]) - 1
    return [[sum(d[r + 1][e] * Theta[e + 1][s + 1]
                 for e in range(D))
             for s in range(P)]
            for r in range(N)]


def vit_embed_grad_patch_jvp(patch_dot, Theta):
    """ẏ_{t,e} = [1 ≤ t ≤ N] Σ_{q=0}^{P−1} Θ_{e+1,q+1} ẋ_{t−1,q},   0 ≤ t ≤ N, 0 ≤ e ≤ D − 1"""
    N = len(patch_dot)
    P = len(patch_dot[0])
    D = len(Theta) - 1
    return [[(sum(Theta[e + 1][q + 1] * patch_dot[t - 1][q]
                  for q in range(P)) if 1 <= t <= N else 0)
             for e in range(D)]
            for t in range(N + 1)]


def vit_embed_grad_patch_hvp(d_dot, d, Theta):
    """(∂ℒ/∂x_{r,s})˙ = Σ_{e=0}^{D−1} ḋ_{r+1,e} Θ_{e+1,s+1},   0 ≤ r ≤ N − 1, 0 ≤ s ≤ P − 1"""
    N = len(d) - 1
    D = len(d[0])
    P = len(Theta[1]) - 1
    return [[sum(d_dot[r + 1][e] * Theta[e + 1][s + 1]
                 for e in range(D))
             for s in range(P)]
            for r in range(N)]
