"""net.a.grad_z, made by `chainrule derive`. The steps are in net_a_grad_z.md."""


def net_a_grad_z(d, gprime_z):
    """∂ℒ/∂z_i = d_i g′(z)_i,   1 ≤ i ≤ m"""
    m = len(d) - 1
    return [None, *[d[i] * gprime_z[i] for i in range(1, m + 1)]]


def net_a_grad_z_jvp(z_dot, z, g_prime):
    """ẏ_k = ż_k g′(z_k),   1 ≤ k ≤ m"""
    m = len(z_dot) - 1
    return [None, *[z_dot[k] * g_prime(z[k]) for k in range(1, m + 1)]]


def net_a_grad_z_hvp(d_dot, gprime_z_dot, d, gprime_z):
    """(∂ℒ/∂z_i)˙ = ḋ_i g′(z)_i + d_i ġ′(z)_i,   1 ≤ i ≤ m"""
    m = len(d) - 1
    return [None, *[d_dot[i] * gprime_z[i] + d[i] * gprime_z_dot[i] for i in range(1, m + 1)]]
