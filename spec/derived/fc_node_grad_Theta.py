"""fc.node.grad_Theta, made by `chainrule derive`. The steps are in fc_node_grad_Theta.md."""


def fc_node_grad_Theta(delta, a):
    """∂ℒ/∂Θ_{k,l} = δ_k a_l,   0 ≤ k ≤ n − 1, 0 ≤ l ≤ n − 1"""
    n = len(delta)
    return [[delta[k] * a[l] for l in range(n)] for k in range(n)]


def fc_node_grad_Theta_jvp(Theta_dot, a):
    """ż_i = Σ_{j=0}^{n−1} Θ̇_{i,j} a_j,   0 ≤ i ≤ n − 1"""
    n = len(Theta_dot)
    return [sum(Theta_dot[i][j] * a[j] for j in range(n)) for i in range(n)]


def fc_node_grad_Theta_hvp(delta_dot, delta, a):
    """(∂ℒ/∂Θ_{k,l})˙ = δ̇_k a_l,   0 ≤ k ≤ n − 1, 0 ≤ l ≤ n − 1"""
    n = len(delta)
    return [[delta_dot[k] * a[l] for l in range(n)] for k in range(n)]
