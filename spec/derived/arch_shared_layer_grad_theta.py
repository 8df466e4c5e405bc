"""arch.shared.layer.grad_theta, made by `chainrule derive`. The steps are in arch_shared_layer_grad_theta.md."""


def arch_shared_layer_grad_theta(d, x, m):
    """∂ℒ/∂θ_q = Σ_{i=max(0,h−q)}^{min(n−1,h+n−q−1)} d_i x_{i+q−h},   0 ≤ q ≤ 2 h"""
    n = len(d)
    h = (m - 1) // 2
    return [sum(d[i] * x[i + q - h]
                for i in range(max(0, h - q), min(n - 1, h + n - q - 1) + 1))
            for q in range(2 * h + 1)]
