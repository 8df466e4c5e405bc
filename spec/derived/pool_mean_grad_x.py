"""pool.mean.grad_x, made by `chainrule derive`. The steps are in pool_mean_grad_x.md."""


def pool_mean_grad_x(d, H, W, M, N, S):
    """∂ℒ/∂x_{p,q} = Σ_{i=max(0,⌈(p−M+1)/S⌉)}^{min(A−1,⌊p/S⌋)}
                  Σ_{j=max(0,⌈(q−N+1)/S⌉)}^{min(B−1,⌊q/S⌋)} d_{i,j}/(M N)
    0 ≤ p ≤ H − 1, 0 ≤ q ≤ W − 1"""
    A = len(d)
    B = len(d[0])
    return [[sum(d[i][j] / (M * N)
                 for i in range(max(0, -(-(p - M + 1) // S)), min(A - 1, p // S) + 1)
                 for j in range(max(0, -(-(q - N + 1) // S)), min(B - 1, q // S) + 1))
             for q in range(W)]
            for p in range(H)]


def pool_mean_grad_x_jvp(x_dot, M, N, S, A, B):
    """ẏ_{i,j} = (1/(M N)) Σ_{m=0}^{M−1} Σ_{n=0}^{N−1} ẋ_{Si+m,Sj+n},   0 ≤ i ≤ A − 1, 0 ≤ j ≤ B − 1"""
    return [[sum(x_dot[S * i + m][S * j + n]
                 for m in range(M)
                 for n in range(N)) / (M * N)
             for j in range(B)]
            for i in range(A)]


def pool_mean_grad_x_hvp(d_dot, d, H, W, M, N, S):
    """(∂ℒ/∂x_{p,q})˙ = Σ_{i=max(0,⌈(p−M+1)/S⌉)}^{min(A−1,⌊p/S⌋)}
                     Σ_{j=max(0,⌈(q−N+1)/S⌉)}^{min(B−1,⌊q/S⌋)} ḋ_{i,j}/(M N)
    0 ≤ p ≤ H − 1, 0 ≤ q ≤ W − 1"""
    A = len(d)
    B = len(d[0])
    return [[sum(d_dot[i][j] / (M * N)
                 for i in range(max(0, -(-(p - M + 1) // S)), min(A - 1, p // S) + 1)
                 for j in range(max(0, -(-(q - N + 1) // S)), min(B - 1, q // S) + 1))
             for q in range(W)]
            for p in range(H)]
