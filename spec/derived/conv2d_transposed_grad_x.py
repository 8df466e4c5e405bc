"""conv2d.transposed.grad_x, made by `chainrule derive`. The steps are in conv2d_transposed_grad_x.md."""


def conv2d_transposed_grad_x(d, w, S):
    """∂ℒ/∂x_{k,r,s} = Σ_{f=0}^{F−1} Σ_{m=0}^{M−1} Σ_{n=0}^{N−1} d_{f,m+Sr,n+Ss} w_{k,f,m,n}
    0 ≤ k ≤ C − 1, 0 ≤ r ≤ H − 1, 0 ≤ s ≤ W − 1"""
    F = len(d)
    M = len(w[0][0])
    N = len(w[0][0][0])
    H = (len(d[0]) - M) // S + 1
    W = (len(d[0][0]) - N) // S + 1
    C = len(w)
    return [[[sum(d[f][m + S * r][n + S * s] * w[k][f][m][n]
                  for f in range(F)
                  for m in range(M)
                  for n in range(N))
              for s in range(W)]
             for r in range(H)]
            for k in range(C)]


def conv2d_transposed_grad_x_jvp(x_dot, w, S):
    """ẏ_{f,p,q} = Σ_{c=0}^{C−1} Σ_{i=0}^{H−1} Σ_{j=0}^{W−1} w_{c,f,p−Si,q−Sj} ẋ_{c,i,j}
                [0 ≤ p − S i ≤ M − 1] [0 ≤ q − S j ≤ N − 1]
    0 ≤ f ≤ F − 1, 0 ≤ p ≤ M + S (H − 1) − 1, 0 ≤ q ≤ N + S (W − 1) − 1"""
    C = len(x_dot)
    H = len(x_dot[0])
    W = len(x_dot[0][0])
    F = len(w[0])
    M = len(w[0][0])
    N = len(w[0][0][0])
    return [[[sum(w[c][f][p - S * i][q - S * j] * x_dot[c][i][j]
                  for c in range(C)
                  for i in range(H)
                  for j in range(W)
                  if 0 <= p - S * i <= M - 1
                  if 0 <= q - S * j <= N - 1)
              for q in range(N + S * W - S)]
             for p in range(H * S + M - S)]
            for f in range(F)]


def conv2d_transposed_grad_x_hvp(d_dot, d, w, S):
    """(∂ℒ/∂x_{k,r,s})˙ = Σ_{f=0}^{F−1} Σ_{m=0}^{M−1} Σ_{n=0}^{N−1} ḋ_{f,m+Sr,n+Ss} w_{k,f,m,n}
    0 ≤ k ≤ C − 1, 0 ≤ r ≤ H − 1, 0 ≤ s ≤ W − 1"""
    F = len(d)
    M = len(w[0][0])
    N = len(w[0][0][0])
    H = (len(d[0]) - M) // S + 1
    W = (len(d[0][0]) - N) // S + 1
    C = len(w)
    return [[[sum(d_dot[f][m + S * r][n + S * s] * w[k][f][m][n]
                  for f in range(F)
                  for m in range(M)
                  for n in range(N))
              for s in range(W)]
             for r in range(H)]
            for k in range(C)]
