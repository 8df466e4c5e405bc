"""net.layer.affine.grad_w, made by `chainrule derive`. The steps are in net_layer_affine_grad_w.md."""


def net_layer_affine_grad_w(delta, x):
    """∂ℒ/∂w_{k,l} = δ_k x_l,   1 ≤ k ≤ q, 1 ≤ l ≤ p"""
    q = len(delta) - 1
    p = len(x) - 1
    return [None, *[[None, *[delta[k] * x[l] for l in range(1, p + 1)]] for k in range(1, q + 1)]]


def net_layer_affine_grad_w_jvp(w_dot, x):
    """ż_i = Σ_{j=1}^p x_j ẇ_{i,j},   1 ≤ i ≤ q"""
    q = len(w_dot) - 1
    p = len(w_dot[1]) - 1
    return [None, *[sum(x[j] * w_dot[i][j] for j in range(1, p + 1)) for i in range(1, q + 1)]]


def net_layer_affine_grad_w_hvp(delta_dot, delta, x):
    """(∂ℒ/∂w_{k,l})˙ = δ̇_k x_l,   1 ≤ k ≤ q, 1 ≤ l ≤ p"""
    q = len(delta) - 1
    p = len(x) - 1
    return [None, *[[None, *[delta_dot[k] * x[l]
                             for l in range(1, p + 1)]]
                    for k in range(1, q + 1)]]
