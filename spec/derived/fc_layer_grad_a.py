"""fc.layer.grad_a, made by `chainrule derive`. The steps are in fc_layer_grad_a.md."""


def fc_layer_grad_a(delta, Theta):
    """∂ℒ/∂a_k = Σ_{i=0}^{q−1} δ_i Θ_{i,k},   0 ≤ k ≤ p − 1"""
    q = len(delta)
    p = len(Theta[0])
    return [sum(delta[i] * Theta[i][k] for i in range(q)) for k in range(p)]


def fc_layer_grad_a_jvp(a_dot, Theta):
    """ż_i = Σ_{j=0}^{p−1} Θ_{i,j} ȧ_j,   0 ≤ i ≤ q − 1"""
    p = len(a_dot)
    q = len(Theta)
    return [sum(Theta[i][j] * a_dot[j] for j in range(p)) for i in range(q)]


def fc_layer_grad_a_hvp(delta_dot, delta, Theta):
    """(∂ℒ/∂a_k)˙ = Σ_{i=0}^{q−1} δ̇_i Θ_{i,k},   0 ≤ k ≤ p − 1"""
    q = len(delta)
    p = len(Theta[0])
    return [sum(delta_dot[i] * Theta[i][k] for i in range(q)) for k in range(p)]
