"""vit.embed.grad_token, made by `chainrule derive`. The steps are in vit_embed_grad_token.md."""


def vit_embed_grad_token(d):
    """∂ℒ/∂c_s = d_{0,s},   0 ≤ s ≤ D − 1"""
    D = len(d[0])
    return [d[0][s] for s in range(D)]


def vit_embed_grad_token_jvp(token_dot, N):
    """ẏ_{t,e} = ċ_e [t = 0],   0 ≤ t ≤ N, 0 ≤ e ≤ D − 1"""
    D = len(token_dot)
    return [[(token_dot[e] if t == 0 else 0) for e in range(D)] for t in range(N + 1)]


def vit_embed_grad_token_hvp(d_dot, d):
    """(∂ℒ/∂c_s)˙ = ḋ_{0,s},   0 ≤ s ≤ D − 1"""
    D = len(d[0])
    return [d_dot[0][s] for s in range(D)]
