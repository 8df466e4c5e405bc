"""aug.shift.grad_x, made by `chainrule derive`. The steps are in aug_shift_grad_x.md."""


def aug_shift_grad_x(delta, R, a, b):
    """∂ℒ/∂x_{k,l} = δ_{k+R−a,l+R−b} [0 ≤ k + R − a ≤ H − 1] [0 ≤ l + R − b ≤ W − 1]
    0 ≤ k ≤ H − 1, 0 ≤ l ≤ W − 1"""
    H = len(delta)
    W = len(delta[0])
    return [[(delta[k + R - a][l + R - b] if 0 <= k + R - a <= H - 1
              and 0 <= l + R - b <= W - 1
              else 0)
             for l in range(W)]
            for k in range(H)]


def aug_shift_grad_x_jvp(x_dot, R, a, b):
    """ż_{i,j} = ẋ_{i+a−R,j+b−R} [0 ≤ i + a − R ≤ H − 1] [0 ≤ j + b − R ≤ W − 1]
    0 ≤ i ≤ H − 1, 0 ≤ j ≤ W − 1"""
    H = len(x_dot)
    W = len(x_dot[0])
    return [[(x_dot[i + a - R][j + b - R] if 0 <= i + a - R <= H - 1
              and 0 <= j + b - R <= W - 1
              else 0)
             for j in range(W)]
            for i in range(H)]


def aug_shift_grad_x_hvp(delta_dot, delta, R, a, b):
    """(∂ℒ/∂x_{k,l})˙ = δ̇_{k+R−a,l+R−b} [0 ≤ k + R − a ≤ H − 1] [0 ≤ l + R − b ≤ W − 1]
    0 ≤ k ≤ H − 1, 0 ≤ l ≤ W − 1"""
    H = len(delta)
    W = len(delta[0])
    return [[(delta_dot[k + R - a][l + R - b] if 0 <= k + R - a <= H - 1
              and 0 <= l + R - b <= W - 1
              else 0)
             for l in range(W)]
            for k in range(H)]
