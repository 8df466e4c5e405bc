"""fc.node.grad_a, made by `chainrule derive`. The steps are in fc_node_grad_a.md."""


def fc_node_grad_a(delta, Theta):
    """∂ℒ/∂a_k = Σ_{i=0}^{n−1} δ_i Θ_{i,k},   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [sum(delta[i] * Theta[i][k] for i in range(n)) for k in range(n)]
