"""net.layer.affine.grad_b, made by `chainrule derive`. The steps are in net_layer_affine_grad_b.md."""


def net_layer_affine_grad_b(delta):
    """∂ℒ/∂b_k = δ_k,   1 ≤ k ≤ q"""
    q = len(delta) - 1
    return [None, *[delta[k] for k in range(1, q + 1)]]
