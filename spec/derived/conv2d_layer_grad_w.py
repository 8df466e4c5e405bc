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


def conv2d_layer_grad_w_jvp(w_dot, x, S, S2, R, R2, D, D2, A, B):
    """ẏ_{f+Fg,i,j} = Σ_{c=0}^{C−1} Σ_{m=0}^{M−1} Σ_{n=0}^{N−1} ẇ_{f+Fg,c,m,n}
                   x_{c+Cg,Si+Dm−R,S′j+D′n−R′} [0 ≤ S i + D m − R ≤ H − 1]
                   [0 ≤ S′ j + D′ n − R′ ≤ W − 1]
    0 ≤ g ≤ G − 1, 0 ≤ f ≤ F − 1, 0 ≤ i ≤ A − 1, 0 ≤ j ≤ B − 1"""
    C = len(w_dot[0])
    M = len(w_dot[0][0])
    N = len(w_dot[0][0][0])
    G = len(x) // C
    H = len(x[0])
    W = len(x[0][0])
    F = len(w_dot) // G
    return [[[sum(w_dot[f + F * g][c][m][n] * x[c + C * g][S * i + D * m - R][S2 * j + D2 * n - R2]
                  for c in range(C)
                  for m in range(M)
                  for n in range(N)
                  if 0 <= S * i + D * m - R <= H - 1
                  if 0 <= S2 * j + D2 * n - R2 <= W - 1)
              for j in range(B)]
             for i in range(A)]
            for g in range(G)
            for f in range(F)]


def conv2d_layer_grad_w_hvp(d_dot, d, x, M, N, stride=1, padding=0, dilation=1, groups=1):
    """(∂ℒ/∂w_{k,u,p,q})˙ = Σ_{i=max(0,⌈(R−Dp)/S⌉)}^{min(A−1,⌊(H+R−Dp−1)/S⌋)}
                         Σ_{j=max(0,⌈(R′−D′q)/S′⌉)}^{min(B−1,⌊(R′+W−D′q−1)/S′⌋)} ḋ_{k,i,j}
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
    return [[[[sum(d_dot[k][i][j] * x[C * (k // F) + u][S * i + D * p - R][S2 * j + D2 * q - R2]
                   for i in range(max(0, -(-(R - D * p) // S)), min(A - 1, (H + R - D * p - 1) // S) + 1)
                   for j in range(max(0, -(-(R2 - D2 * q) // S2)), min(B - 1, (R2 + W - D2 * q - 1) // S2) + 1))
               for q in range(N)]
              for p in range(M)]
             for u in range(C)]
            for k in range(F * G)]
