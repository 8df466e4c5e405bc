"""arch.shared.layer.grad_theta, made by `chainrule derive`. The steps are in arch_shared_layer_grad_theta.md."""


def arch_shared_layer_grad_theta(d, x, m):
    """∂ℒ/∂θ_q = Σ_{i=max(0,h−q)}^{min(n−1,h+n−q−1)} d_i x_{i+q−h},   0 ≤ q ≤ 2 h"""
    n = len(d)
    h = (m - 1) // 2
    return [sum(d[i] * x[i + q - h]
                for i in range(max(0, h - q), min(n - 1, h + n - q - 1) + 1))
            for q in range(2 * h + 1)]


def arch_shared_layer_grad_theta_jvp(theta_dot, x):
    """ż_i = Σ_{j=0}^{n−1} θ̇_{j+h−i} x_j [−h ≤ j − i ≤ h],   0 ≤ i ≤ n − 1"""
    h = (len(theta_dot) - 1) // 2
    n = len(x)
    return [sum(theta_dot[j + h - i] * x[j]
                for j in range(n)
                if -h <= j - i <= h)
            for i in range(n)]


def arch_shared_layer_grad_theta_hvp(d_dot, d, x, m):
    """(∂ℒ/∂θ_q)˙ = Σ_{i=max(0,h−q)}^{min(n−1,h+n−q−1)} ḋ_i x_{i+q−h},   0 ≤ q ≤ 2 h"""
    n = len(d)
    h = (m - 1) // 2
    return [sum(d_dot[i] * x[i + q - h]
                for i in range(max(0, h - q), min(n - 1, h + n - q - 1) + 1))
            for q in range(2 * h + 1)]
