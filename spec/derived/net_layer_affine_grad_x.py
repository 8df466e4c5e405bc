"""net.layer.affine.grad_x, made by `chainrule derive`. The steps are in net_layer_affine_grad_x.md."""


def net_layer_affine_grad_x(delta, w):
    """∂ℒ/∂x_k = Σ_{i=1}^q δ_i w_{i,k},   1 ≤ k ≤ p"""
    q = len(delta) - 1
    p = len(w[1]) - 1
    return [None, *[sum(delta[i] * w[i][k] for i in range(1, q + 1)) for k in range(1, p + 1)]]


def net_layer_affine_grad_x_jvp(x_dot, w):
    """ż_i = Σ_{j=1}^p ẋ_j w_{i,j},   1 ≤ i ≤ q"""
    p = len(x_dot) - 1
    q = len(w) - 1
    return [None, *[sum(x_dot[j] * w[i][j] for j in range(1, p + 1)) for i in range(1, q + 1)]]


def net_layer_affine_grad_x_hvp(delta_dot, delta, w):
    """(∂ℒ/∂x_k)˙ = Σ_{i=1}^q δ̇_i w_{i,k},   1 ≤ k ≤ p"""
    q = len(delta) - 1
    p = len(w[1]) - 1
    return [None, *[sum(delta_dot[i] * w[i][k] for i in range(1, q + 1)) for k in range(1, p + 1)]]
