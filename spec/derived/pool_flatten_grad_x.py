"""pool.flatten.grad_x, made by `chainrule derive`. The steps are in pool_flatten_grad_x.md."""


def pool_flatten_grad_x(d, H, W):
    """∂ℒ/∂x_{k,p,q} = d_{HWk+Wp+q},   0 ≤ k ≤ C − 1, 0 ≤ p ≤ H − 1, 0 ≤ q ≤ W − 1"""
    C = len(d) // (H * W)
    return [[[d[H * W * k + W * p + q] for q in range(W)] for p in range(H)] for k in range(C)]


def pool_flatten_grad_x_jvp(x_dot):
    """ẏ_{HWc+Wi+j} = ẋ_{c,i,j},   0 ≤ c ≤ C − 1, 0 ≤ i ≤ H − 1, 0 ≤ j ≤ W − 1"""
    C = len(x_dot)
    H = len(x_dot[0])
    W = len(x_dot[0][0])
    return [x_dot[c][i][j] for c in range(C) for i in range(H) for j in range(W)]


def pool_flatten_grad_x_hvp(d_dot, d, H, W):
    """(∂ℒ/∂x_{k,p,q})˙ = ḋ_{HWk+Wp+q},   0 ≤ k ≤ C − 1, 0 ≤ p ≤ H − 1, 0 ≤ q ≤ W − 1"""
    C = len(d) // (H * W)
    return [[[d_dot[H * W * k + W * p + q] for q in range(W)] for p in range(H)] for k in range(C)]
