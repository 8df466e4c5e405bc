"""loss.objective.grad_Theta, made by `chainrule derive`. The steps are in loss_objective_grad_Theta.md."""


def loss_objective_grad_Theta(delta, Theta, lam):
    """∂ℒ/∂Θ_{l,m} = 2 δ λ Θ_{l,m},   1 ≤ l ≤ q, 0 ≤ m ≤ p"""
    q = len(Theta) - 1
    p = len(Theta[1]) - 1
    return [None, *[[2 * delta * lam * Theta[l][m] for m in range(p + 1)] for l in range(1, q + 1)]]


def loss_objective_grad_Theta_jvp(Theta_dot, Theta, lam):
    """ż = 2 λ Σ_{j=0}^p Σ_{i=1}^q Θ_{i,j} Θ̇_{i,j}"""
    q = len(Theta_dot) - 1
    p = len(Theta_dot[1]) - 1
    return 2 * lam * sum(Theta[i][j] * Theta_dot[i][j]
                         for j in range(p + 1)
                         for i in range(1, q + 1))


def loss_objective_grad_Theta_hvp(delta_dot, Theta_dot, delta, Theta, lam):
    """(∂ℒ/∂Θ_{l,m})˙ = 2 δ̇ λ Θ_{l,m} + 2 δ λ Θ̇_{l,m},   1 ≤ l ≤ q, 0 ≤ m ≤ p"""
    q = len(Theta) - 1
    p = len(Theta[1]) - 1
    return [None, *[[2 * delta_dot * lam * Theta[l][m] + 2 * delta * lam * Theta_dot[l][m]
                     for m in range(p + 1)]
                    for l in range(1, q + 1)]]
