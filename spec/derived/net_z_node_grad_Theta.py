"""net.z.node.grad_Theta, made by `chainrule derive`. The steps are in net_z_node_grad_Theta.md."""


def net_z_node_grad_Theta(delta, a):
    """∂ℒ/∂Θ_{k,l} = δ_k a_l,   1 ≤ k ≤ q, 0 ≤ l ≤ p"""
    q = len(delta) - 1
    p = len(a) - 1
    return [None, *[[delta[k] * a[l] for l in range(p + 1)] for k in range(1, q + 1)]]
