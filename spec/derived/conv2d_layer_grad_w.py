"""conv2d.layer.grad_w, made by `chainrule derive`. The steps are in conv2d_layer_grad_w.md."""


def pair(sides):
    """One number for both directions, or (vertical, horizontal)."""
    return sides if isinstance(sides, tuple) else (sides, sides)


def conv2d_layer_grad_w(d, x, M, N, stride=1, padding=0, dilation=1, groups=1):
    """∂ℒ/∂w_{k,u,p,q} = Σ_{i=max(0,⌈(R−Dp)/S⌉)}^{min(A−1,⌊(H+R−Dp−1)/S⌋)}
                      Σ_{j=max(0,⌈(R′−D′q)/S′⌉)}^{min(B−1,⌊(R′+W−D′q−1)/S′⌋)} d_{k,i,j}
                      x_{C⌊k/F⌋+u,Si+Dp−R,S′j+D′q−R′}
    0 ≤ k ≤ F G − 1, 0 ≤ u ≤ C − 1, 0 ≤ p ≤ M − 1, 0 ≤ q ≤ N − 1"""
    G = groups
    S = pair(stride)[0]
    S2 = pair(stride)[1]
    R = pair(padding)[0]
    R2 = pair(padding)[1]
    D = pair(dilation)[0]
    D2 = pair(dilation)[1]
    A = len(d[0])
    B = len(d[0][0])
    F = len(d) // G
    C = len(x) // G
    H = len(x[0])
    W = len(x[0][0])
    return [[[[sum(d[k][i][j] * x[C * (k // F) + u][S * i + D * p - R][S2 * j + D2 * q - R2]
                   for i in range(max(0, -(-(R - D * p) // S)), min(A - 1, (H + R - D * p - 1) // S) + 1)
                   for j in range(max(0, -(-(R2 - D2 * q) // S2)), min(B - 1, (R2 + W - D2 * q - 1) // S2) + 1))
               for q in range(N)]
              for p in range(M)]
             for u in range(C)]
            for k in range(F * G)]
