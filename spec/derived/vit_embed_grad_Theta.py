"""vit.embed.grad_Theta, made by `chainrule derive`. The steps are in vit_embed_grad_Theta.md."""

from chainrule.scalar import where


def vit_embed_grad_Theta(d, patch):
    """∂ℒ/∂Θ_{r,s} = Σ_{t=1}^N d_{t,r−1} a_{t,s},   1 ≤ r ≤ D, 0 ≤ s ≤ P"""
    N = len(d) - 1
    D = len(d[0])
    P = len(patch[0])
    a = [None, *[[where(q <= 0, 1, patch[t - 1][q - 1])
                  for q in range(P + 1)]
                 for t in range(1, N + 1)]]
    return [None, *[[sum(d[t][r - 1] * a[t][s]
                         for t in range(1, N + 1))
                     for s in range(P + 1)]
                    for r in range(1, D + 1)]]


def vit_embed_grad_Theta_jvp(Theta_dot, patch):
    """ẏ_{t,e} = [1 ≤ t ≤ N] Σ_{q=0}^P Θ̇_{e+1,q} a_{t,q},   0 ≤ t ≤ N, 0 ≤ e ≤ D − 1"""
    D = len(Theta_dot) - 1
    P = len(Theta_dot[1]) - 1
    N = len(patch)
    a = [None, *[[where(q <= 0, 1, patch[t - 1][q - 1])
                  for q in range(P + 1)]
                 for t in range(1, N + 1)]]
    return [[(sum(Theta_dot[e + 1][q] * a[t][q]
                  for q in range(P + 1)) if 1 <= t <= N else 0)
             for e in range(D)]
            for t in range(N + 1)]


def vit_embed_grad_Theta_hvp(d_dot, d, patch):
    """(∂ℒ/∂Θ_{r,s})˙ = Σ_{t=1}^N ḋ_{t,r−1} a_{t,s},   1 ≤ r ≤ D, 0 ≤ s ≤ P"""
    N = len(d) - 1
    D = len(d[0])
    P = len(patch[0])
    a = [None, *[[where(q <= 0, 1, patch[t - 1][q - 1])
                  for q in range(P + 1)]
                 for t in range(1, N + 1)]]
    return [None, *[[sum(d_dot[t][r - 1] * a[t][s]
                         for t in range(1, N + 1))
                     for s in range(P + 1)]
                    for r in range(1, D + 1)]]
