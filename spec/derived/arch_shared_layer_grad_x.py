"""arch.shared.layer.grad_x, made by `chainrule derive`. The steps are in arch_shared_layer_grad_x.md."""


def arch_shared_layer_grad_x(d, theta):
    """∂ℒ/∂x_p = Σ_{i=max(0,p−h)}^{min(n−1,p+h)} d_i θ_{p+h−i},   0 ≤ p ≤ n − 1"""
    n = len(d)
    h = (len(theta) - 1) // 2
    return [sum(d[i] * theta[p + h - i]
                for i in range(max(0, p - h), min(n - 1, p + h) + 1))
            for p in range(n)]


def arch_shared_layer_grad_x_jvp(x_dot, theta):
    """ż_i = Σ_{j=0}^{n−1} θ_{j+h−i} ẋ_j [−h ≤ j − i ≤ h],   0 ≤ i ≤ n − 1"""
    n = len(x_dot)
    h = (len(theta) - 1) // 2
    return [sum(theta[j + h - i] * x_dot[j]
                for j in range(n)
                if -h <= j - i <= h)
            for i in range(n)]


def arch_shared_layer_grad_x_hvp(d_dot, d, theta):
    """(∂ℒ/∂x_p)˙ = Σ_{i=max(0,p−h)}^{min(n−1,p+h)} ḋ_i θ_{p+h−i},   0 ≤ p ≤ n − 1"""
    n = len(d)
    h = (len(theta) - 1) // 2
    return [sum(d_dot[i] * theta[p + h - i]
                for i in range(max(0, p - h), min(n - 1, p + h) + 1))
            for p in range(n)]
