"""alg.average, made by `chainrule derive`. The steps are in alg_average.md."""


def alg_average(Delta, Theta, lam, n):
    """D_{i,j} = Δ_{i,j}/n + λ Θ⁽ˡ⁾_{i,j} [1 ≤ j ≤ p],   1 ≤ i ≤ q, 0 ≤ j ≤ p"""
    q = len(Theta) - 1
    p = len(Theta[1]) - 1
    return [None, *[[Delta[i][j] / n + (lam * Theta[i][j] if 1 <= j <= p else 0)
                     for j in range(p + 1)]
                    for i in range(1, q + 1)]]


def alg_average_jvp(Theta_dot, a):
    """ż⁽ˡ⁺¹⁾_{k,r} = Σ_{s=0}^p Θ̇⁽ˡ⁾_{r,s} a⁽ˡ⁾_{k,s},   1 ≤ k ≤ n, 1 ≤ r ≤ q"""
    q = len(Theta_dot) - 1
    p = len(Theta_dot[1]) - 1
    n = len(a) - 1
    return [None, *[[None, *[sum(Theta_dot[r][s] * a[k][s]
                                 for s in range(p + 1))
                             for r in range(1, q + 1)]]
                    for k in range(1, n + 1)]]


def alg_average_hvp(Delta_dot, Theta_dot, Delta, Theta, lam, n):
    """(D_{i,j})˙ = Δ̇_{i,j}/n + λ Θ̇⁽ˡ⁾_{i,j} [1 ≤ j ≤ p],   1 ≤ i ≤ q, 0 ≤ j ≤ p"""
    q = len(Theta) - 1
    p = len(Theta[1]) - 1
    return [None, *[[Delta_dot[i][j] / n + (lam * Theta_dot[i][j] if 1 <= j <= p else 0)
                     for j in range(p + 1)]
                    for i in range(1, q + 1)]]
