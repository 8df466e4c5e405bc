"""loss.objective.grad_Theta, made by `chainrule derive`. The steps are in loss_objective_grad_Theta.md."""


def loss_objective_grad_Theta(delta, Theta, lam):
    """∂ℒ/∂Θ_{l,m} = 2 δ λ Θ_{l,m},   1 ≤ l ≤ q, 0 ≤ m ≤ p"""
    q = len(Theta) - 1
    p = len(Theta[1]) - 1
    return [None, *[[2 * delta * lam * Theta[l][m] for m in range(p + 1)] for l in range(1, q + 1)]]
