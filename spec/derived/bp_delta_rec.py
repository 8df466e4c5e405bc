"""bp.delta.rec, made by `chainrule derive`. The steps are in bp_delta_rec.md."""


def bp_delta_rec(Theta, delta_next, a):
    """δ⁽ˡ⁾_i = a⁽ˡ⁾_i (1 − a⁽ˡ⁾_i) Σ_{k=1}^q δ⁽ˡ⁺¹⁾_k Θ⁽ˡ⁾_{k,i},   1 ≤ i ≤ p"""
    p = len(a) - 1
    q = len(delta_next) - 1
    return [None, *[a[i] * (1 - a[i]) * sum(delta_next[k] * Theta[k][i]
                                            for k in range(1, q + 1))
                    for i in range(1, p + 1)]]
