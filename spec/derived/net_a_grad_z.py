"""net.a.grad_z, made by `chainrule derive`. The steps are in net_a_grad_z.md."""


def net_a_grad_z(d, gprime_z):
    """∂ℒ/∂z_i = d_i g′(z)_i,   1 ≤ i ≤ m"""
    m = len(d) - 1
    return [None, *[d[i] * gprime_z[i] for i in range(1, m + 1)]]
