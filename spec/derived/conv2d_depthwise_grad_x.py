"""conv2d.depthwise.grad_x, made by `chainrule derive`. The steps are in conv2d_depthwise_grad_x.md."""


def conv2d_depthwise_grad_x(delta, w, S, H, W):
    """∂ℒ/∂x_{k,l,p} = Σ_{n=max(0,p−S⌊(W−N)/S⌋)}^{min(p,N−1)} Σ_{m=max(0,l−S⌊(H−M)/S⌋)}^{min(l,M−1)}
                    δ_{k,(l−m)/S,(p−n)/S} w_{k,m,n} [S divides l − m] [S divides p − n]
    0 ≤ k ≤ C − 1, 0 ≤ l ≤ H − 1, 0 ≤ p ≤ W − 1"""
    C = len(delta)
    M = len(w[0])
    N = len(w[0][0])
    return [[[sum(delta[k][(l - m) // S][(p - n) // S] * w[k][m][n]
                  for n in range(max(0, p - S * ((W - N) // S)), min(p, N - 1) + 1)
                  for m in range(max(0, l - S * ((H - M) // S)), min(l, M - 1) + 1)
                  if (l - m) % S == 0
                  if (p - n) % S == 0)
              for p in range(W)]
             for l in range(H)]
            for k in range(C)]


def conv2d_depthwise_grad_x_jvp(x_dot, w, S):
    """ż_{c,i,j} = Σ_{n=0}^{N−1} Σ_{m=0}^{M−1} ẋ_{c,Si+m,Sj+n} w_{c,m,n}
    0 ≤ c ≤ C − 1, 0 ≤ i ≤ ⌊(H − M)/S⌋, 0 ≤ j ≤ ⌊(W − N)/S⌋"""
    C = len(x_dot)
    H = len(x_dot[0])
    W = len(x_dot[0][0])
    M = len(w[0])
    N = len(w[0][0])
    return [[[sum(x_dot[c][S * i + m][S * j + n] * w[c][m][n]
                  for n in range(N)
                  for m in range(M))
              for j in range((W - N) // S + 1)]
             for i in range((H - M) // S + 1)]
            for c in range(C)]


def conv2d_depthwise_grad_x_hvp(delta_dot, delta, w, S, H, W):
    """(∂ℒ/∂x_{k,l,p})˙ = Σ_{n=max(0,p−S⌊(W−N)/S⌋)}^{min(p,N−1)} Σ_{m=max(0,l−S⌊(H−M)/S⌋)}^{min(l,M−1)}
                       δ̇_{k,(l−m)/S,(p−n)/S} w_{k,m,n} [S divides l − m] [S divides p − n]
    0 ≤ k ≤ C − 1, 0 ≤ l ≤ H − 1, 0 ≤ p ≤ W − 1"""
    C = len(delta)
    M = len(w[0])
    N = len(w[0][0])
    return [[[sum(delta_dot[k][(l - m) // S][(p - n) // S] * w[k][m][n]
                  for n in range(max(0, p - S * ((W - N) // S)), min(p, N - 1) + 1)
                  for m in range(max(0, l - S * ((H - M) // S)), min(l, M - 1) + 1)
                  if (l - m) % S == 0
                  if (p - n) % S == 0)
              for p in range(W)]
             for l in range(H)]
            for k in range(C)]
