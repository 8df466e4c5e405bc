"""vit.embed.grad_position, made by `chainrule derive`. The steps are in vit_embed_grad_position.md."""


def vit_embed_grad_position(d):
    """∂ℒ/∂p_{r,s} = d_{r,s},   0 ≤ r ≤ N, 0 ≤ s ≤ D − 1"""
    N = len(d) - 1
    D = len(d[0])
    return [[d[r][s] for s in range(D)] for r in range(N + 1)]


def vit_embed_grad_position_jvp(position_dot):
    """ẏ_{t,e} = ṗ_{t,e},   0 ≤ t ≤ N, 0 ≤ e ≤ D − 1"""
    N = len(position_dot) - 1
    D = len(position_dot[0])
    return [[position_dot[t][e] for e in range(D)] for t in range(N + 1)]


def vit_embed_grad_position_hvp(d_dot, d):
    """(∂ℒ/∂p_{r,s})˙ = ḋ_{r,s},   0 ≤ r ≤ N, 0 ≤ s ≤ D − 1"""
    N = len(d) - 1
    D = len(d[0])
    return [[d_dot[r][s] for s in range(D)] for r in range(N + 1)]
