"""aug.flip.grad_x, made by `chainrule derive`. The steps are in aug_flip_grad_x.md."""


def aug_flip_grad_x(delta):
    """∂ℒ/∂x_{k,l} = δ_{k,W−l−1},   0 ≤ k ≤ H − 1, 0 ≤ l ≤ W − 1"""
    H = len(delta)
    W = len(delta[0])
    return [[delta[k][W - l - 1] for l in range(W)] for k in range(H)]


def aug_flip_grad_x_jvp(x_dot):
    """ż_{i,j} = ẋ_{i,W−j−1},   0 ≤ i ≤ H − 1, 0 ≤ j ≤ W − 1"""
    H = len(x_dot)
    W = len(x_dot[0])
    return [[x_dot[i][W - j - 1] for j in range(W)] for i in range(H)]


def aug_flip_grad_x_hvp(delta_dot, delta):
    """(∂ℒ/∂x_{k,l})˙ = δ̇_{k,W−l−1},   0 ≤ k ≤ H − 1, 0 ≤ l ≤ W − 1"""
    H = len(delta)
    W = len(delta[0])
    return [[delta_dot[k][W - l - 1] for l in range(W)] for k in range(H)]
