"""conv2d.layer.grad_x, made by `chainrule derive`. The steps are in conv2d_layer_grad_x.md."""


def pair(sides):
    """One number for both directions, or (vertical, horizontal)."""
    return sides if isinstance(sides, tuple) else (sides, sides)


def conv2d_layer_grad_x(d, w, H, W, stride=1, padding=0, dilation=1, groups=1):
    """∂ℒ/∂x_{k,p,q} = Σ_{f=0}^{F−1} Σ_{i=max(0,⌈(p+R−D(M−1))/S⌉)}^{min(A−1,⌊(p+R)/S⌋)}
                    Σ_{j=max(0,⌈(q+R′−D′(N−1))/S′⌉)}^{min(B−1,⌊(q+R′)/S′⌋)} d_{f+F⌊k/C⌋,i,j}
                    w_{f+F⌊k/C⌋,k−C⌊k/C⌋,(p+R−Si)/D,(q+R′−S′j)/D′} [D divides p + R − S i]
                    [D′ divides q + R′ − S′ j]
    0 ≤ k ≤ C G − 1, 0 ≤ p ≤ H − 1, 0 ≤ q ≤ W − 1"""
    G = groups
    S = pair(stride)[0]
    S2 = pair(stride)[1]
    R = pair(padding)[0]
    R2 = pair(padding)[1]
    D = pair(dilation)[0]
    D2 = pair(dilation)[1]
    A = len(d[0])
    B = len(d[0][0])
    F = len(w) // G
    C = len(w[0])
    M = len(w[0][0])
    N = len(w[0][0][0])
    return [[[sum(d[f + F * (k // C)][i][j] * w[f + F * (k // C)][k - C * (k // C)][(p + R - S * i) // D][(q + R2 - S2 * j) // D2]
                  for f in range(F)
                  for i in range(max(0, -(-(p + R - D * (M - 1)) // S)), min(A - 1, (p + R) // S) + 1)
                  for j in range(max(0, -(-(q + R2 - D2 * (N - 1)) // S2)), min(B - 1, (q + R2) // S2) + 1)
                  if (p + R - S * i) % D == 0
                  if (q + R2 - S2 * j) % D2 == 0)
              for q in range(W)]
             for p in range(H)]
            for k in range(C * G)]


def conv2d_layer_grad_x_jvp(x_dot, w, S, S2, R, R2, D, D2, A, B):
    """ẏ_{f+Fg,i,j} = Σ_{c=0}^{C−1} Σ_{m=0}^{M−1} Σ_{n=0}^{N−1} w_{f+Fg,c,m,n}
                   ẋ_{c+Cg,Si+Dm−R,S′j+D′n−R′} [0 ≤ S i + D m − R ≤ H − 1]
                   [0 ≤ S′ j + D′ n − R′ ≤ W − 1]
    0 ≤ g ≤ G − 1, 0 ≤ f ≤ F − 1, 0 ≤ i ≤ A − 1, 0 ≤ j ≤ B − 1"""
    H = len(x_dot[0])
    W = len(x_dot[0][0])
    C = len(w[0])
    M = len(w[0][0])
    N = len(w[0][0][0])
    G = len(x_dot) // C
    F = len(w) // G
    return [[[sum(w[f + F * g][c][m][n] * x_dot[c + C * g][S * i + D * m - R][S2 * j + D2 * n - R2]
                  for c in range(C)
                  for m in range(M)
                  for n in range(N)
                  if 0 <= S * i + D * m - R <= H - 1
                  if 0 <= S2 * j + D2 * n - R2 <= W - 1)
              for j in range(B)]
             for i in range(A)]
            for g in range(G)
            for f in range(F)]


def conv2d_layer_grad_x_hvp(d_dot, d, w, H, W, stride=1, padding=0, dilation=1, groups=1):
    """(∂ℒ/∂x_{k,p,q})˙ = Σ_{f=0}^{F−1} Σ_{i=max(0,⌈(p+R−D(M−1))/S⌉)}^{min(A−1,⌊(p+R)/S⌋)}
                       Σ_{j=max(0,⌈(q+R′−D′(N−1))/S′⌉)}^{min(B−1,⌊(q+R′)/S′⌋)} ḋ_{f+F⌊k/C⌋,i,j}
                       w_{f+F⌊k/C⌋,k−C⌊k/C⌋,(p+R−Si)/D,(q+R′−S′j)/D′} [D divides p + R − S i]
                       [D′ divides q + R′ − S′ j]
    0 ≤ k ≤ C G − 1, 0 ≤ p ≤ H − 1, 0 ≤ q ≤ W − 1"""
    G = groups
    S = pair(stride)[0]
    S2 = pair(stride)[1]
    R = pair(padding)[0]
    R2 = pair(padding)[1]
    D = pair(dilation)[0]
    D2 = pair(dilation)[1]
    A = len(d[0])
    B = len(d[0][0])
    F = len(w) // G
    C = len(w[0])
    M = len(w[0][0])
    N = len(w[0][0][0])
    return [[[sum(d_dot[f + F * (k // C)][i][j] * w[f + F * (k // C)][k - C * (k // C)][(p + R - S * i) // D][(q + R2 - S2 * j) // D2]
                  for f in range(F)
                  for i in range(max(0, -(-(p + R - D * (M - 1)) // S)), min(A - 1, (p + R) // S) + 1)
                  for j in range(max(0, -(-(q + R2 - D2 * (N - 1)) // S2)), min(B - 1, (q + R2) // S2) + 1)
                  if (p + R - S * i) % D == 0
                  if (q + R2 - S2 * j) % D2 == 0)
              for q in range(W)]
             for p in range(H)]
            for k in range(C * G)]
