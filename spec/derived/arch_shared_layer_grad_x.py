"""arch.shared.layer.grad_x, made by `chainrule derive`. The steps are in arch_shared_layer_grad_x.md."""


def arch_shared_layer_grad_x(d, theta):
    """∂ℒ/∂x_p = Σ_{i=max(0,p−h)}^{min(n−1,p+h)} d_i θ_{p+h−i},   0 ≤ p ≤ n − 1"""
    n = len(d)
    h = (len(theta) - 1) // 2
    return [sum(d[i] * theta[p + h - i]
                for i in range(max(0, p - h), min(n - 1, p + h) + 1))
            for p in range(n)]
