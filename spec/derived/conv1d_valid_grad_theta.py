"""conv1d.valid.grad_theta, made by `chainrule derive`. The steps are in conv1d_valid_grad_theta.md."""


def conv1d_valid_grad_theta(d, x):
    """∂ℒ/∂θ_q = Σ_{i=0}^{n−m} d_i x_{i+q},   0 ≤ q ≤ m − 1"""
    n = len(x)
    m = n - len(d) + 1
    return [sum(d[i] * x[i + q] for i in range(n - m + 1)) for q in range(m)]
