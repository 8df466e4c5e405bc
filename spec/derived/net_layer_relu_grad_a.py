"""net.layer.relu.grad_a, made by `chainrule derive`. The steps are in net_layer_relu_grad_a.md."""

from chainrule.scalar import where


def net_layer_relu_grad_a(d, Theta, a):
    """∂ℒ/∂a_j = Σ_{k=1}^m d_k g′(z)_k Θ_{k,j},   0 ≤ j ≤ n"""
    m = len(d) - 1
    n = len(a) - 1
    z = [None, *[sum(Theta[k][l] * a[l] for l in range(n + 1)) for k in range(1, m + 1)]]
    gprime_z = [None, *[where(z[k] <= 0, 0, 1) for k in range(1, m + 1)]]
    return [sum(d[k] * gprime_z[k] * Theta[k][j] for k in range(1, m + 1)) for j in range(n + 1)]
