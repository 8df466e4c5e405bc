"""fc.layer.grad_a, made by `chainrule derive`. The steps are in fc_layer_grad_a.md."""


def fc_layer_grad_a(delta, Theta):
    """∂ℒ/∂a_k = Σ_{i=0}^{q−1} δ_i Θ_{i,k},   0 ≤ k ≤ p − 1"""
    q = len(delta)
    p = len(Theta[0])
    return [sum(delta[i] * Theta[i][k] for i in range(q)) for k in range(p)]
