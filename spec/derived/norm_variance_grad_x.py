"""norm.variance.grad_x, made by `chainrule derive`. The steps are in norm_variance_grad_x.md."""


def norm_variance_grad_x(delta, x):
    """∂ℒ/∂x_p = 2 δ (x_p − μ)/n,   0 ≤ p ≤ n − 1"""
    n = len(x)
    mu = sum(x[k] for k in range(n)) / n
    return [2 * delta * (x[p] - mu) / n for p in range(n)]


def norm_variance_grad_x_jvp(x_dot, x):
    """v̇ = (1/n) Σ_{k=0}^{n−1} (2 x_k − 2 μ) (ẋ_k − μ̇)"""
    n = len(x_dot)
    mu = sum(x[k] for k in range(n)) / n
    mu_dot = sum(x_dot[k] for k in range(n)) / n
    return sum((2 * x[k] - 2 * mu) * (x_dot[k] - mu_dot) for k in range(n)) / n


def norm_variance_grad_x_hvp(delta_dot, x_dot, delta, x):
    """(∂ℒ/∂x_p)˙ = 2 δ̇ (x_p − μ)/n + 2 δ (ẋ_p − μ̇)/n,   0 ≤ p ≤ n − 1"""
    n = len(x)
    mu = sum(x[k] for k in range(n)) / n
    mu_dot = sum(x_dot[k] for k in range(n)) / n
    return [2 * delta_dot * (x[p] - mu) / n + 2 * delta * (x_dot[p] - mu_dot) / n for p in range(n)]
