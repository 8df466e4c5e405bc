"""vit.embed.grad_token, made by `chainrule derive`. The steps are in vit_embed_grad_token.md."""


def vit_embed_grad_token(d):
    """∂ℒ/∂c_s = d_{0,s},   0 ≤ s ≤ D − 1"""
    D = len(d[0])
    return [d[0][s] for s in range(D)]
