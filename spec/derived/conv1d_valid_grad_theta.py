"""conv1d.valid.grad_theta, made by `chainrule derive`. The steps are in conv1d_valid_grad_theta.md."""


def conv1d_valid_grad_theta(d, x):
    """∂ℒ/∂θ_q = Σ_{i=0}^{n−m} d_i x_{i+q},   0 ≤ q ≤ m − 1"""
    n = len(x)
    m = n - len(d) + 1
    return [sum(d[i] * x[i + q] for i in range(n - m + 1)) for q in range(m)]


def conv1d_valid_grad_theta_jvp(theta_dot, x):
    """ẏ_i = Σ_{j=0}^{m−1} θ̇_j x_{i+j},   0 ≤ i ≤ n − m"""
    m = len(theta_dot)
    n = len(x)
    return [sum(theta_dot[j] * x[i + j] for j in range(m)) for i in range(n - m + 1)]


def conv1d_valid_grad_theta_hvp(d_dot, d, x):
    """(∂ℒ/∂θ_q)˙ = Σ_{i=0}^{n−m} ḋ_i x_{i+q},   0 ≤ q ≤ m − 1"""
    n = len(x)
    m = n - len(d) + 1
    return [sum(d_dot[i] * x[i + q] for i in range(n - m + 1)) for q in range(m)]
