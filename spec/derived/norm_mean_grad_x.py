"""norm.mean.grad_x, made by `chainrule derive`. The steps are in norm_mean_grad_x.md."""


def norm_mean_grad_x(delta, n):
    """∂ℒ/∂x_k = δ/n,   0 ≤ k ≤ n − 1"""
    return [delta / n for k in range(n)]


def norm_mean_grad_x_jvp(x_dot):
    """ż = (1/n) Σ_{i=0}^{n−1} ẋ_i"""
    n = len(x_dot)
    return sum(x_dot[i] for i in range(n)) / n


def norm_mean_grad_x_hvp(delta_dot, delta, n):
    """(∂ℒ/∂x_k)˙ = δ̇/n,   0 ≤ k ≤ n − 1"""
    return [delta_dot / n for k in range(n)]
