"""arch.local.layer.grad_x, made by `chainrule derive`. The steps are in arch_local_layer_grad_x.md."""


def arch_local_layer_grad_x(d, w):
    """∂ℒ/∂x_p = Σ_{i=max(0,p−h)}^{min(n−1,p+h)} d_i w_{i,p+h−i},   0 ≤ p ≤ n − 1"""
    n = len(w)
    h = (len(w[0]) - 1) // 2
    return [sum(d[i] * w[i][p + h - i]
                for i in range(max(0, p - h), min(n - 1, p + h) + 1))
            for p in range(n)]


def arch_local_layer_grad_x_jvp(x_dot, w):
    """ż_i = Σ_{j=0}^{n−1} w_{i,j+h−i} ẋ_j [−h ≤ j − i ≤ h],   0 ≤ i ≤ n − 1"""
    n = len(x_dot)
    h = (len(w[0]) - 1) // 2
    return [sum(w[i][j + h - i] * x_dot[j] for j in range(n) if -h <= j - i <= h) for i in range(n)]


def arch_local_layer_grad_x_hvp(d_dot, d, w):
    """(∂ℒ/∂x_p)˙ = Σ_{i=max(0,p−h)}^{min(n−1,p+h)} ḋ_i w_{i,p+h−i},   0 ≤ p ≤ n − 1"""
    n = len(w)
    h = (len(w[0]) - 1) // 2
    return [sum(d_dot[i] * w[i][p + h - i]
                for i in range(max(0, p - h), min(n - 1, p + h) + 1))
            for p in range(n)]
