"""bp.delta.chain, made by `chainrule derive`. The steps are in bp_delta_chain.md."""


def bp_delta_chain(Theta, delta_next, gprime_z):
    """δ⁽ˡ⁾_i = Σ_{k=1}^q δ⁽ˡ⁺¹⁾_k Θ⁽ˡ⁾_{k,i} g′(z⁽ˡ⁾)_i,   1 ≤ i ≤ p"""
    p = len(gprime_z) - 1
    q = len(delta_next) - 1
    return [None, *[sum(delta_next[k] * Theta[k][i] * gprime_z[i]
                        for k in range(1, q + 1))
                    for i in range(1, p + 1)]]
