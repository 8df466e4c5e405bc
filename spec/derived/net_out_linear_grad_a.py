"""net.out.linear.grad_a, made by `chainrule derive`. The steps are in net_out_linear_grad_a.md."""


def net_out_linear_grad_a(delta, Theta):
    """∂ℒ/∂a_k = Σ_{i=1}^q δ_i Θ_{i,k},   0 ≤ k ≤ p"""
    q = len(delta) - 1
    p = len(Theta[1]) - 1
    return [sum(delta[i] * Theta[i][k] for i in range(1, q + 1)) for k in range(p + 1)]


def net_out_linear_grad_a_jvp(a_dot, Theta):
    """ż_i = Σ_{j=0}^p Θ_{i,j} ȧ_j,   1 ≤ i ≤ q"""
    p = len(a_dot) - 1
    q = len(Theta) - 1
    return [None, *[sum(Theta[i][j] * a_dot[j] for j in range(p + 1)) for i in range(1, q + 1)]]


def net_out_linear_grad_a_hvp(delta_dot, delta, Theta):
    """(∂ℒ/∂a_k)˙ = Σ_{i=1}^q δ̇_i Θ_{i,k},   0 ≤ k ≤ p"""
    q = len(delta) - 1
    p = len(Theta[1]) - 1
    return [sum(delta_dot[i] * Theta[i][k] for i in range(1, q + 1)) for k in range(p + 1)]
