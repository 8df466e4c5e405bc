"""alg.average, made by `chainrule derive`. The steps are in alg_average.md."""


def alg_average(Delta, Theta, lam, n):
    """D_{i,j} = Δ_{i,j}/n + λ Θ⁽ˡ⁾_{i,j} [1 ≤ j ≤ p],   1 ≤ i ≤ q, 0 ≤ j ≤ p"""
    q = len(Theta) - 1
    p = len(Theta[1]) - 1
    return [None, *[[Delta[i][j] / n + (lam * Theta[i][j] if 1 <= j <= p else 0)
                     for j in range(p + 1)]
                    for i in range(1, q + 1)]]
