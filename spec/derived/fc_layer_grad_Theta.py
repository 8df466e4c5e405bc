"""fc.layer.grad_Theta, made by `chainrule derive`. The steps are in fc_layer_grad_Theta.md."""


def fc_layer_grad_Theta(d, a):
    """∂ℒ/∂Θ_{i,j} = d_i a_j,   0 ≤ i ≤ m − 1, 0 ≤ j ≤ n − 1"""
    m = len(d)
    n = len(a)
    return [[d[i] * a[j] for j in range(n)] for i in range(m)]


def fc_layer_grad_Theta_jvp(Theta_dot, a):
    """ż_k = Σ_{l=0}^{n−1} a_l Θ̇_{k,l},   0 ≤ k ≤ m − 1"""
    m = len(Theta_dot)
    n = len(Theta_dot[0])
    return [sum(a[l] * Theta_dot[k][l] for l in range(n)) for k in range(m)]


def fc_layer_grad_Theta_hvp(d_dot, d, a):
    """(∂ℒ/∂Θ_{i,j})˙ = ḋ_i a_j,   0 ≤ i ≤ m − 1, 0 ≤ j ≤ n − 1"""
    m = len(d)
    n = len(a)
    return [[d_dot[i] * a[j] for j in range(n)] for i in range(m)]
