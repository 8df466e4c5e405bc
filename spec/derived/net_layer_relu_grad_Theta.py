"""net.layer.relu.grad_Theta, made by `chainrule derive`. The steps are in net_layer_relu_grad_Theta.md."""

from chainrule.scalar import where


def net_layer_relu_grad_Theta(d, Theta, a):
    """∂ℒ/∂Θ_{i,j} = d_i g′(z)_i a_j,   1 ≤ i ≤ m, 0 ≤ j ≤ n"""
    m = len(d) - 1
    n = len(a) - 1
    z = [None, *[sum(Theta[k][l] * a[l] for l in range(n + 1)) for k in range(1, m + 1)]]
    gprime_z = [None, *[where(z[k] <= 0, 0, 1) for k in range(1, m + 1)]]
    return [None, *[[d[i] * gprime_z[i] * a[j] for j in range(n + 1)] for i in range(1, m + 1)]]


def net_layer_relu_grad_Theta_jvp(Theta_dot, Theta, a, g_prime):
    """ẏ_k = ż_k g′(z_k),   1 ≤ k ≤ m"""
    m = len(Theta_dot) - 1
    n = len(Theta_dot[1]) - 1
    z = [None, *[sum(Theta[k][l] * a[l] for l in range(n + 1)) for k in range(1, m + 1)]]
    z_dot = [None, *[sum(Theta_dot[k][l] * a[l] for l in range(n + 1)) for k in range(1, m + 1)]]
    return [None, *[z_dot[k] * g_prime(z[k]) for k in range(1, m + 1)]]


def net_layer_relu_grad_Theta_hvp(d_dot, Theta_dot, d, Theta, a):
    """(∂ℒ/∂Θ_{i,j})˙ = ḋ_i g′(z)_i a_j + d_i ġ′(z)_i a_j,   1 ≤ i ≤ m, 0 ≤ j ≤ n"""
    m = len(d) - 1
    n = len(a) - 1
    z = [None, *[sum(Theta[k][l] * a[l] for l in range(n + 1)) for k in range(1, m + 1)]]
    gprime_z = [None, *[where(z[k] <= 0, 0, 1) for k in range(1, m + 1)]]
    gprime_z_dot = [None, *[0 for k in range(1, m + 1)]]
    return [None, *[[d_dot[i] * gprime_z[i] * a[j] + d[i] * gprime_z_dot[i] * a[j]
                     for j in range(n + 1)]
                    for i in range(1, m + 1)]]
