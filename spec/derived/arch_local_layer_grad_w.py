"""arch.local.layer.grad_w, made by `chainrule derive`. The steps are in arch_local_layer_grad_w.md."""


def arch_local_layer_grad_w(d, x, m):
    """∂ℒ/∂w_{p,q} = d_p x_{p+q−h} [0 ≤ p + q − h ≤ n − 1],   0 ≤ p ≤ n − 1, 0 ≤ q ≤ 2 h"""
    n = len(d)
    h = (m - 1) // 2
    return [[(d[p] * x[p + q - h] if 0 <= p + q - h <= n - 1 else 0)
             for q in range(2 * h + 1)]
            for p in range(n)]


def arch_local_layer_grad_w_jvp(w_dot, x):
    """ż_i = Σ_{j=0}^{n−1} ẇ_{i,j+h−i} x_j [−h ≤ j − i ≤ h],   0 ≤ i ≤ n − 1"""
    n = len(w_dot)
    h = (len(w_dot[0]) - 1) // 2
    return [sum(w_dot[i][j + h - i] * x[j] for j in range(n) if -h <= j - i <= h) for i in range(n)]


def arch_local_layer_grad_w_hvp(d_dot, d, x, m):
    """(∂ℒ/∂w_{p,q})˙ = ḋ_p x_{p+q−h} [0 ≤ p + q − h ≤ n − 1],   0 ≤ p ≤ n − 1, 0 ≤ q ≤ 2 h"""
    n = len(d)
    h = (m - 1) // 2
    return [[(d_dot[p] * x[p + q - h] if 0 <= p + q - h <= n - 1 else 0)
             for q in range(2 * h + 1)]
            for p in range(n)]
