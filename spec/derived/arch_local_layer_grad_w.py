"""arch.local.layer.grad_w, made by `chainrule derive`. The steps are in arch_local_layer_grad_w.md."""


def arch_local_layer_grad_w(d, x, m):
    """∂ℒ/∂w_{p,q} = d_p x_{p+q−h} [0 ≤ p + q − h ≤ n − 1],   0 ≤ p ≤ n − 1, 0 ≤ q ≤ 2 h"""
    n = len(d)
    h = (m - 1) // 2
    return [[(d[p] * x[p + q - h] if 0 <= p + q - h <= n - 1 else 0)
             for q in range(2 * h + 1)]
            for p in range(n)]
