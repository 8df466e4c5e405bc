"""net.out.linear.grad_Theta, made by `chainrule derive`. The steps are in net_out_linear_grad_Theta.md."""


def net_out_linear_grad_Theta(delta, a):
    """∂ℒ/∂Θ_{k,l} = δ_k a_l,   1 ≤ k ≤ q, 0 ≤ l ≤ p"""
    q = len(delta) - 1
    p = len(a) - 1
    return [None, *[[delta[k] * a[l] for l in range(p + 1)] for k in range(1, q + 1)]]


def net_out_linear_grad_Theta_jvp(Theta_dot, a):
    """ż_i = Σ_{j=0}^p Θ̇_{i,j} a_j,   1 ≤ i ≤ q"""
    q = len(Theta_dot) - 1
    p = len(Theta_dot[1]) - 1
    return [None, *[sum(Theta_dot[i][j] * a[j] for j in range(p + 1)) for i in range(1, q + 1)]]


def net_out_linear_grad_Theta_hvp(delta_dot, delta, a):
    """(∂ℒ/∂Θ_{k,l})˙ = δ̇_k a_l,   1 ≤ k ≤ q, 0 ≤ l ≤ p"""
    q = len(delta) - 1
    p = len(a) - 1
    return [None, *[[delta_dot[k] * a[l] for l in range(p + 1)] for k in range(1, q + 1)]]
