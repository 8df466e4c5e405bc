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
