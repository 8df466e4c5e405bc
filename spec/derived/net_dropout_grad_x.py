"""net.dropout.grad_x, made by `chainrule derive`. The steps are in net_dropout_grad_x.md."""


def net_dropout_grad_x(delta, m, r):
    """∂ℒ/∂x_k = δ_k m_k/(1 − r),   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [delta[k] * m[k] / (1 - r) for k in range(n)]


def net_dropout_grad_x_jvp(x_dot, m, r):
    """ż_i = ẋ_i m_i/(1 − r),   0 ≤ i ≤ n − 1"""
    n = len(x_dot)
    return [x_dot[i] * m[i] / (1 - r) for i in range(n)]


def net_dropout_grad_x_hvp(delta_dot, delta, m, r):
    """(∂ℒ/∂x_k)˙ = δ̇_k m_k/(1 − r),   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [delta_dot[k] * m[k] / (1 - r) for k in range(n)]
