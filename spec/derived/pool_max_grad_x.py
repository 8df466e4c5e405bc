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
