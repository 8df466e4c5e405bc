"""net.layer.affine.grad_b, made by `chainrule derive`. The steps are in net_layer_affine_grad_b.md."""


def net_layer_affine_grad_b(delta):
    """∂ℒ/∂b_k = δ_k,   1 ≤ k ≤ q"""
    q = len(delta) - 1
    return [None, *[delta[k] for k in range(1, q + 1)]]


def net_layer_affine_grad_b_jvp(b_dot):
    """ż_i = ḃ_i,   1 ≤ i ≤ q"""
    q = len(b_dot) - 1
    return [None, *[b_dot[i] for i in range(1, q + 1)]]


def net_layer_affine_grad_b_hvp(delta_dot, delta):
    """(∂ℒ/∂b_k)˙ = δ̇_k,   1 ≤ k ≤ q"""
    q = len(delta) - 1
    return [None, *[delta_dot[k] for k in range(1, q + 1)]]
