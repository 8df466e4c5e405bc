"""conv1d.centred.grad_theta, made by `chainrule derive`. The steps are in conv1d_centred_grad_theta.md."""


def conv1d_centred_grad_theta(d, a, m):
    """∂ℒ/∂θ_q = Σ_{i=max(0,h−q)}^{min(n−1,h+n−q−1)} d_i a_{i+q−h},   0 ≤ q ≤ 2 h"""
    n = len(d)
    h = (m - 1) // 2
    return [sum(d[i] * a[i + q - h]
                for i in range(max(0, h - q), min(n - 1, h + n - q - 1) + 1))
            for q in range(2 * h + 1)]
