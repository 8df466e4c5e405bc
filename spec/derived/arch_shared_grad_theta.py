"""arch.shared.grad_theta, made by `chainrule derive`. The steps are in arch_shared_grad_theta.md."""


def arch_shared_grad_theta(d, a, m):
    """∂ℒ/∂θ_q = Σ_{k=max(0,h−q)}^{min(n−1,h+n−q−1)} d_k a_{k+q−h},   0 ≤ q ≤ 2 h"""
    n = len(d)
    h = (m - 1) // 2
    return [sum(d[k] * a[k + q - h]
                for k in range(max(0, h - q), min(n - 1, h + n - q - 1) + 1))
            for q in range(2 * h + 1)]


def arch_shared_grad_theta_jvp(theta_dot, a):
    """ż_k = Σ_{l=0}^{n−1} a_l θ̇_{l+h−k} [−h ≤ l − k ≤ h],   0 ≤ k ≤ n − 1"""
    h = (len(theta_dot) - 1) // 2
    n = len(a)
    return [sum(a[l] * theta_dot[l + h - k]
                for l in range(n)
                if -h <= l - k <= h)
            for k in range(n)]


def arch_shared_grad_theta_hvp(d_dot, d, a, m):
    """(∂ℒ/∂θ_q)˙ = Σ_{k=max(0,h−q)}^{min(n−1,h+n−q−1)} ḋ_k a_{k+q−h},   0 ≤ q ≤ 2 h"""
    n = len(d)
    h = (m - 1) // 2
    return [sum(d_dot[k] * a[k + q - h]
                for k in range(max(0, h - q), min(n - 1, h + n - q - 1) + 1))
            for q in range(2 * h + 1)]
