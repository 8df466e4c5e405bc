"""pool.max.grad_x, made by `chainrule derive`. The steps are in pool_max_grad_x.md."""

from chainrule.scalar import where


def pair(sides):
    """One number for both directions, or (vertical, horizontal)."""
    return sides if isinstance(sides, tuple) else (sides, sides)


def pool_max_grad_x(d, index, H, W, k=2, stride=None, padding=0, dilation=1):
    """∂ℒ/∂x_{p,q} = Σ_{i=max(0,⌈(p+R−D(M−1))/S⌉)}^{min(A−1,⌊(p+R)/S⌋)}
                  Σ_{j=max(0,⌈(q+R′−D′(N−1))/S′⌉)}^{min(B−1,⌊(q+R′)/S′⌋)} d_{i,j}
                  [D divides p + R − S i] [D′ divides q + R′ − S′ j] [W p + q = index_{i,j}]
    0 ≤ p ≤ H − 1, 0 ≤ q ≤ W − 1"""
    M = pair(k)[0]
    N = pair(k)[1]
    S = pair(k if stride is None else stride)[0]
    S2 = pair(k if stride is None else stride)[1]
    R = pair(padding)[0]
    R2 = pair(padding)[1]
    D = pair(dilation)[0]
    D2 = pair(dilation)[1]
    A = len(d)
    B = len(d[0])
    return [[sum(where(W * p + q == index[i][j], d[i][j], 0)
                 for i in range(max(0, -(-(p + R - D * (M - 1)) // S)), min(A - 1, (p + R) // S) + 1)
                 for j in range(max(0, -(-(q + R2 - D2 * (N - 1)) // S2)), min(B - 1, (q + R2) // S2) + 1)
                 if (p + R - S * i) % D == 0
                 if (q + R2 - S2 * j) % D2 == 0)
             for q in range(W)]
            for p in range(H)]


def pool_max_grad_x_jvp(x_dot, index, M, N, S, S2, R, R2, D, D2):
    """ẏ_{i,j} = Σ_{m=0}^{M−1} Σ_{n=0}^{N−1} ẋ_{Si+Dm−R,S′j+D′n−R′} [0 ≤ S i + D m − R ≤ H − 1]
              [0 ≤ S′ j + D′ n − R′ ≤ W − 1] [W (S i + D m − R) + S′ j + D′ n − R′ = index_{i,j}]
    0 ≤ i ≤ A − 1, 0 ≤ j ≤ B − 1"""
    H = len(x_dot)
    W = len(x_dot[0])
    A = len(index)
    B = len(index[0])
    return [[sum(where(W * (S * i + D * m - R) + S2 * j + D2 * n - R2 == index[i][j], x_dot[S * i + D * m - R][S2 * j + D2 * n - R2], 0)
                 for m in range(M)
                 for n in range(N)
                 if 0 <= S * i + D * m - R <= H - 1
                 if 0 <= S2 * j + D2 * n - R2 <= W - 1)
             for j in range(B)]
            for i in range(A)]


def pool_max_grad_x_hvp(d_dot, d, index, H, W, k=2, stride=None, padding=0, dilation=1):
    """(∂ℒ/∂x_{p,q})˙ = Σ_{i=max(0,⌈(p+R−D(M−1))/S⌉)}^{min(A−1,⌊(p+R)/S⌋)}
                     Σ_{j=max(0,⌈(q+R′−D′(N−1))/S′⌉)}^{min(B−1,⌊(q+R′)/S′⌋)} ḋ_{i,j}
                     [D divides p + R − S i] [D′ divides q + R′ − S′ j] [W p + q = index_{i,j}]
    0 ≤ p ≤ H − 1, 0 ≤ q ≤ W − 1"""
    M = pair(k)[0]
    N = pair(k)[1]
    S = pair(k if stride is None else stride)[0]
    S2 = pair(k if stride is None else stride)[1]
    R = pair(padding)[0]
    R2 = pair(padding)[1]
    D = pair(dilation)[0]
    D2 = pair(dilation)[1]
    A = len(d)
    B = len(d[0])
    return [[sum(where(W * p + q == index[i][j], d_dot[i][j], 0)
                 for i in range(max(0, -(-(p + R - D * (M - 1)) // S)), min(A - 1, (p + R) // S) + 1)
                 for j in range(max(0, -(-(q + R2 - D2 * (N - 1)) // S2)), min(B - 1, (q + R2) // S2) + 1)
                 if (p + R - S * i) % D == 0
                 if (q + R2 - S2 * j) % D2 == 0)
             for q in range(W)]
            for p in range(H)]
