"""net.layer.relu.grad_a, made by `chainrule derive`. The steps are in net_layer_relu_grad_a.md."""

from chainrule.scalar import where


def net_layer_relu_grad_a(d, Theta, a):
    """∂ℒ/∂a_j = Σ_{k=1}^m d_k g′(z)_k Θ_{k,j},   0 ≤ j ≤ n"""
    m = len(d) - 1
    n = len(a) - 1
    z = [None, *[sum(Theta[k][l] * a[l] for l in range(n + 1)) for k in range(1, m + 1)]]
    gprime_z = [None, *[where(z[k] <= 0, 0, 1) for k in range(1, m + 1)]]
    return [sum(d[k] * gprime_z[k] * Theta[k][j] for k in range(1, m + 1)) for j in range(n + 1)]


def net_layer_relu_grad_a_jvp(a_dot, Theta, a, g_prime):
    """ẏ_k = ż_k g′(z_k),   1 ≤ k ≤ m"""
    n = len(a_dot) - 1
    m = len(Theta) - 1
    z = [None, *[sum(Theta[k][l] * a[l] for l in range(n + 1)) for k in range(1, m + 1)]]
    z_dot = [None, *[sum(Theta[k][l] * a_dot[l] for l in range(n + 1)) for k in range(1, m + 1)]]
    return [None, *[z_dot[k] * g_prime(z[k]) for k in range(1, m + 1)]]


def net_layer_relu_grad_a_hvp(d_dot, a_dot, d, Theta, a):
    """(∂ℒ/∂a_j)˙ = Σ_{k=1}^m (ḋ_k g′(z)_k Θ_{k,j} + d_k ġ′(z)_k Θ_{k,j}),   0 ≤ j ≤ n"""
    m = len(d) - 1
    n = len(a) - 1
    z = [None, *[sum(Theta[k][l] * a[l] for l in range(n + 1)) for k in range(1, m + 1)]]
    gprime_z = [None, *[where(z[k] <= 0, 0, 1) for k in range(1, m + 1)]]
    gprime_z_dot = [None, *[0 for k in range(1, m + 1)]]
    return [sum(d_dot[k] * gprime_z[k] * Theta[k][j] + d[k] * gprime_z_dot[k] * Theta[k][j]
                for k in range(1, m + 1))
            for j in range(n + 1)]
