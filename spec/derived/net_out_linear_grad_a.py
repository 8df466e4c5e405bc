"""net.out.linear.grad_a, made by `chainrule derive`. The steps are in net_out_linear_grad_a.md."""


def net_out_linear_grad_a(delta, Theta):
    """∂ℒ/∂a_k = Σ_{i=1}^q δ_i Θ_{i,k},   0 ≤ k ≤ p"""
    q = len(delta) - 1
    p = len(Theta[1]) - 1
    return [sum(delta[i] * Theta[i][k] for i in range(1, q + 1)) for k in range(p + 1)]
