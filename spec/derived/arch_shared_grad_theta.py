"""arch.shared.grad_theta, made by `chainrule derive`. The steps are in arch_shared_grad_theta.md."""


def arch_shared_grad_theta(d, a, m):
    """∂ℒ/∂θ_q = Σ_{k=max(0,h−q)}^{min(n−1,h+n−q−1)} d_k a_{k+q−h},   0 ≤ q ≤ 2 h"""
    n = len(d)
    h = (m - 1) // 2
    return [sum(d[k] * a[k + q - h]
                for k in range(max(0, h - q), min(n - 1, h + n - q - 1) + 1))
            for q in range(2 * h + 1)]
