"""loss.objective.corrected.grad_Theta, made by `chainrule derive`. The steps are in loss_objective_corrected_grad_Theta.md."""


def loss_objective_corrected_grad_Theta(delta, Theta, lam):
    """∂ℒ/∂Θ_{l,m} = δ λ Θ_{l,m} [1 ≤ m ≤ p],   1 ≤ l ≤ q, 0 ≤ m ≤ p"""
    q = len(Theta) - 1
    p = len(Theta[1]) - 1
    return [None, *[[(delta * lam * Theta[l][m] if 1 <= m <= p else 0)
                     for m in range(p + 1)]
                    for l in range(1, q + 1)]]
