"""conv2d.depthwise.grad_w, made by `chainrule derive`. The steps are in conv2d_depthwise_grad_w.md."""


def conv2d_depthwise_grad_w(delta, x, S, M, N):
    """∂ℒ/∂w_{k,l,p} = Σ_{i=0}^{⌊(H−M)/S⌋} Σ_{j=0}^{⌊(W−N)/S⌋} δ_{k,i,j} x_{k,Si+l,Sj+p}
    0 ≤ k ≤ C − 1, 0 ≤ l ≤ M − 1, 0 ≤ p ≤ N − 1"""
    C = len(delta)
    H = len(x[0])
    W = len(x[0][0])
    return [[[sum(delta[k][i][j] * x[k][S * i + l][S * j + p]
                  for i in range((H - M) // S + 1)
                  for j in range((W - N) // S + 1))
              for p in range(N)]
             for l in range(M)]
            for k in range(C)]


def conv2d_depthwise_grad_w_jvp(w_dot, x, S):
    """ż_{c,i,j} = Σ_{n=0}^{N−1} Σ_{m=0}^{M−1} x_{c,Si+m,Sj+n} ẇ_{c,m,n}
    0 ≤ c ≤ C − 1, 0 ≤ i ≤ ⌊(H − M)/S⌋, 0 ≤ j ≤ ⌊(W − N)/S⌋"""
    C = len(w_dot)
    M = len(w_dot[0])
    N = len(w_dot[0][0])
    H = len(x[0])
    W = len(x[0][0])
    return [[[sum(x[c][S * i + m][S * j + n] * w_dot[c][m][n]
                  for n in range(N)
                  for m in range(M))
              for j in range((W - N) // S + 1)]
             for i in range((H - M) // S + 1)]
            for c in range(C)]


def conv2d_depthwise_grad_w_hvp(delta_dot, delta, x, S, M, N):
    """(∂ℒ/∂w_{k,l,p})˙ = Σ_{i=0}^{⌊(H−M)/S⌋} Σ_{j=0}^{⌊(W−N)/S⌋} δ̇_{k,i,j} x_{k,Si+l,Sj+p}
    0 ≤ k ≤ C − 1, 0 ≤ l ≤ M − 1, 0 ≤ p ≤ N − 1"""
    C = len(delta)
    H = len(x[0])
    W = len(x[0][0])
    return [[[sum(delta_dot[k][i][j] * x[k][S * i + l][S * j + p]
                  for i in range((H - M) // S + 1)
                  for j in range((W - N) // S + 1))
              for p in range(N)]
             for l in range(M)]
            for k in range(C)]
