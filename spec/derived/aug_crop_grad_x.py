"""aug.crop.grad_x, made by `chainrule derive`. The steps are in aug_crop_grad_x.md."""


def aug_crop_grad_x(delta, a, b, H, W):
    """∂ℒ/∂x_{k,l} = δ_{k−a,l−b} [0 ≤ k − a ≤ M − 1] [0 ≤ l − b ≤ N − 1]
    0 ≤ k ≤ H − 1, 0 ≤ l ≤ W − 1"""
    M = len(delta)
    N = len(delta[0])
    return [[(delta[k - a][l - b] if 0 <= k - a <= M - 1 and 0 <= l - b <= N - 1 else 0)
             for l in range(W)]
            for k in range(H)]


def aug_crop_grad_x_jvp(x_dot, M, N, a, b):
    """ż_{i,j} = ẋ_{i+a,j+b},   0 ≤ i ≤ M − 1, 0 ≤ j ≤ N − 1"""
    return [[x_dot[i + a][j + b] for j in range(N)] for i in range(M)]


def aug_crop_grad_x_hvp(delta_dot, delta, a, b, H, W):
    """(∂ℒ/∂x_{k,l})˙ = δ̇_{k−a,l−b} [0 ≤ k − a ≤ M − 1] [0 ≤ l − b ≤ N − 1]
    0 ≤ k ≤ H − 1, 0 ≤ l ≤ W − 1"""
    M = len(delta)
    N = len(delta[0])
    return [[(delta_dot[k - a][l - b] if 0 <= k - a <= M - 1 and 0 <= l - b <= N - 1 else 0)
             for l in range(W)]
            for k in range(H)]
