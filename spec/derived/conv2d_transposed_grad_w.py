"""conv2d.transposed.grad_w, made by `chainrule derive`. The steps are in conv2d_transposed_grad_w.md."""


def conv2d_transposed_grad_w(d, x, S):
    """∂ℒ/∂w_{k,g,u,v} = Σ_{i=0}^{H−1} Σ_{j=0}^{W−1} d_{g,Si+u,Sj+v} x_{k,i,j}
    0 ≤ k ≤ C − 1, 0 ≤ g ≤ F − 1, 0 ≤ u ≤ M − 1, 0 ≤ v ≤ N − 1"""
    F = len(d)
    C = len(x)
    H = len(x[0])
    W = len(x[0][0])
    M = len(d[0]) - S * (H - 1)
    N = len(d[0][0]) - S * (W - 1)
    return [[[[sum(d[g][S * i + u][S * j + v] * x[k][i][j]
                   for i in range(H)
                   for j in range(W))
               for v in range(N)]
              for u in range(M)]
             for g in range(F)]
            for k in range(C)]


def conv2d_transposed_grad_w_jvp(w_dot, x, S):
    """ẏ_{f,p,q} = Σ_{c=0}^{C−1} Σ_{i=0}^{H−1} Σ_{j=0}^{W−1} ẇ_{c,f,p−Si,q−Sj} x_{c,i,j}
                [0 ≤ p − S i ≤ M − 1] [0 ≤ q − S j ≤ N − 1]
    0 ≤ f ≤ F − 1, 0 ≤ p ≤ M + S (H − 1) − 1, 0 ≤ q ≤ N + S (W − 1) − 1"""
    C = len(w_dot)
    F = len(w_dot[0])
    M = len(w_dot[0][0])
    N = len(w_dot[0][0][0])
    H = len(x[0])
    W = len(x[0][0])
    return [[[sum(w_dot[c][f][p - S * i][q - S * j] * x[c][i][j]
                  for c in range(C)
                  for i in range(H)
                  for j in range(W)
                  if 0 <= p - S * i <= M - 1
                  if 0 <= q - S * j <= N - 1)
              for q in range(N + S * W - S)]
             for p in range(H * S + M - S)]
            for f in range(F)]


def conv2d_transposed_grad_w_hvp(d_dot, d, x, S):
    """(∂ℒ/∂w_{k,g,u,v})˙ = Σ_{i=0}^{H−1} Σ_{j=0}^{W−1} ḋ_{g,Si+u,Sj+v} x_{k,i,j}
    0 ≤ k ≤ C − 1, 0 ≤ g ≤ F − 1, 0 ≤ u ≤ M − 1, 0 ≤ v ≤ N − 1"""
    F = len(d)
    C = len(x)
    H = len(x[0])
    W = len(x[0][0])
    M = len(d[0]) - S * (H - 1)
    N = len(d[0][0]) - S * (W - 1)
    return [[[[sum(d_dot[g][S * i + u][S * j + v] * x[k][i][j]
                   for i in range(H)
                   for j in range(W))
               for v in range(N)]
              for u in range(M)]
             for g in range(F)]
            for k in range(C)]
