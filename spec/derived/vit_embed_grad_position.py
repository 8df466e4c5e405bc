"""vit.embed.grad_position, made by `chainrule derive`. The steps are in vit_embed_grad_position.md."""


def vit_embed_grad_position(d):
    """∂ℒ/∂p_{r,s} = d_{r,s},   0 ≤ r ≤ N, 0 ≤ s ≤ D − 1"""
    N = len(d) - 1
    D = len(d[0])
    return [[d[r][s] for s in range(D)] for r in range(N + 1)]
