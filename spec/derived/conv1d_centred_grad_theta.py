"""conv1d.centred.grad_theta, made by `chainrule derive`. The steps are in conv1d_centred_grad_theta.md."""


def conv1d_centred_grad_theta(d, a, m):
    """∂ℒ/∂θ_q = Σ_{i=max(0,h−q)}^{min(n−1,h+n−q−1)} d_i a_{i+q−h},   0 ≤ q ≤ 2 h"""
    n = len(d)
    h = (m - 1) // 2
    return [sum(d[i] * a[i + q - h]
                for i in range(max(0, h - q), min(n - 1, h + n - q - 1) + 1))
            for q in range(2 * h + 1)]


def conv1d_centred_grad_theta_jvp(theta_dot, a):
    """ż_i = Σ_{j=−h}^h θ̇_{j+h} a_{i+j} [0 ≤ i + j ≤ n − 1],   0 ≤ i ≤ n − 1"""
    h = (len(theta_dot) - 1) // 2
    n = len(a)
    return [sum(theta_dot[j + h] * a[i + j]
                for j in range(-h, h + 1)
                if 0 <= i + j <= n - 1)
            for i in range(n)]


def conv1d_centred_grad_theta_hvp(d_dot, d, a, m):
    """(∂ℒ/∂θ_q)˙ = Σ_{i=max(0,h−q)}^{min(n−1,h+n−q−1)} ḋ_i a_{i+q−h},   0 ≤ q ≤ 2 h"""
    n = len(d)
    h = (m - 1) // 2
    return [sum(d_dot[i] * a[i + q - h]
                for i in range(max(0, h - q), min(n - 1, h + n - q - 1) + 1))
            for q in range(2 * h + 1)]
