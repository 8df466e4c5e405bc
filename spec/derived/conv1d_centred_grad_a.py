"""conv1d.centred.grad_a, made by `chainrule derive`. The steps are in conv1d_centred_grad_a.md."""


def conv1d_centred_grad_a(d, theta):
    """∂ℒ/∂a_p = Σ_{j=max(−h,p−n+1)}^{min(h,p)} d_{p−j} θ_{j+h},   0 ≤ p ≤ n − 1"""
    n = len(d)
    h = (len(theta) - 1) // 2
    return [sum(d[p - j] * theta[j + h]
                for j in range(max(-h, p - n + 1), min(h, p) + 1))
            for p in range(n)]


def conv1d_centred_grad_a_jvp(a_dot, theta):
    """ż_i = Σ_{j=−h}^h θ_{j+h} ȧ_{i+j} [0 ≤ i + j ≤ n − 1],   0 ≤ i ≤ n − 1"""
    n = len(a_dot)
    h = (len(theta) - 1) // 2
    return [sum(theta[j + h] * a_dot[i + j]
                for j in range(-h, h + 1)
                if 0 <= i + j <= n - 1)
            for i in range(n)]


def conv1d_centred_grad_a_hvp(d_dot, d, theta):
    """(∂ℒ/∂a_p)˙ = Σ_{j=max(−h,p−n+1)}^{min(h,p)} ḋ_{p−j} θ_{j+h},   0 ≤ p ≤ n − 1"""
    n = len(d)
    h = (len(theta) - 1) // 2
    return [sum(d_dot[p - j] * theta[j + h]
                for j in range(max(-h, p - n + 1), min(h, p) + 1))
            for p in range(n)]
