"""conv1d.centred.grad_a, made by `chainrule derive`. The steps are in conv1d_centred_grad_a.md."""


def conv1d_centred_grad_a(d, theta):
    """∂ℒ/∂a_p = Σ_{j=max(−h,p−n+1)}^{min(h,p)} d_{p−j} θ_{j+h},   0 ≤ p ≤ n − 1"""
    n = len(d)
    h = (len(theta) - 1) // 2
    return [sum(d[p - j] * theta[j + h]
                for j in range(max(-h, p - n + 1), min(h, p) + 1))
            for p in range(n)]
