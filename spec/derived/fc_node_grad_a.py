"""fc.node.grad_a, made by `chainrule derive`. The steps are in fc_node_grad_a.md."""


def fc_node_grad_a(delta, Theta):
    """∂ℒ/∂a_k = Σ_{i=0}^{n−1} δ_i Θ_{i,k},   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [sum(delta[i] * Theta[i][k] for i in range(n)) for k in range(n)]


def fc_node_grad_a_jvp(a_dot, Theta):
    """ż_i = Σ_{j=0}^{n−1} Θ_{i,j} ȧ_j,   0 ≤ i ≤ n − 1"""
    n = len(a_dot)
    return [sum(Theta[i][j] * a_dot[j] for j in range(n)) for i in range(n)]


def fc_node_grad_a_hvp(delta_dot, delta, Theta):
    """(∂ℒ/∂a_k)˙ = Σ_{i=0}^{n−1} δ̇_i Θ_{i,k},   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [sum(delta_dot[i] * Theta[i][k] for i in range(n)) for k in range(n)]
