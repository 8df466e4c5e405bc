"""conv1d.valid.grad_x, made by `chainrule derive`. The steps are in conv1d_valid_grad_x.md."""


def conv1d_valid_grad_x(d, theta):
    """∂ℒ/∂x_p = Σ_{j=max(0,p+m−n)}^{min(p,m−1)} d_{p−j} θ_j,   0 ≤ p ≤ n − 1"""
    m = len(theta)
    n = len(d) + m - 1
    return [sum(d[p - j] * theta[j]
                for j in range(max(0, p + m - n), min(p, m - 1) + 1))
            for p in range(n)]


def conv1d_valid_grad_x_jvp(x_dot, theta):
    """ẏ_i = Σ_{j=0}^{m−1} θ_j ẋ_{i+j},   0 ≤ i ≤ n − m"""
    n = len(x_dot)
    m = len(theta)
    return [sum(theta[j] * x_dot[i + j] for j in range(m)) for i in range(n - m + 1)]


def conv1d_valid_grad_x_hvp(d_dot, d, theta):
    """(∂ℒ/∂x_p)˙ = Σ_{j=max(0,p+m−n)}^{min(p,m−1)} ḋ_{p−j} θ_j,   0 ≤ p ≤ n − 1"""
    m = len(theta)
    n = len(d) + m - 1
    return [sum(d_dot[p - j] * theta[j]
                for j in range(max(0, p + m - n), min(p, m - 1) + 1))
            for p in range(n)]
