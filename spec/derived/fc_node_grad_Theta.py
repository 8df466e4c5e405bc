"""fc.node.grad_Theta, made by `chainrule derive`. The steps are in fc_node_grad_Theta.md."""


def fc_node_grad_Theta(delta, a):
    """∂ℒ/∂Θ_{k,l} = δ_k a_l,   0 ≤ k ≤ n − 1, 0 ≤ l ≤ n − 1"""
    n = len(delta)
    return [[delta[k] * a[l] for l in range(n)] for k in range(n)]
