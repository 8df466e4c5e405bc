"""bp.delta.chain, made by `chainrule derive`. The steps are in bp_delta_chain.md."""


def bp_delta_chain(Theta, delta_next, gprime_z):
    """δ⁽ˡ⁾_i = Σ_{k=1}^q δ⁽ˡ⁺¹⁾_k Θ⁽ˡ⁾_{k,i} g′(z⁽ˡ⁾)_i,   1 ≤ i ≤ p"""
    p = len(gprime_z) - 1
    q = len(delta_next) - 1
    return [None, *[sum(delta_next[k] * Theta[k][i] * gprime_z[i]
                        for k in range(1, q + 1))
                    for i in range(1, p + 1)]]


def bp_delta_chain_jvp(z_dot, Theta, z, g_prime):
    """ż⁽ˡ⁺¹⁾_k = Σ_{j=1}^p Θ⁽ˡ⁾_{k,j} ȧ⁽ˡ⁾_j,   1 ≤ k ≤ q"""
    p = len(z_dot) - 1
    q = len(Theta) - 1
    a_dot = [None, *[z_dot[j] * g_prime(z[j]) for j in range(1, p + 1)]]
    return [None, *[sum(Theta[k][j] * a_dot[j] for j in range(1, p + 1)) for k in range(1, q + 1)]]


def bp_delta_chain_hvp(delta_next_dot, gprime_z_dot, Theta, delta_next, gprime_z):
    """(δ⁽ˡ⁾_i)˙ = Σ_{k=1}^q (δ̇⁽ˡ⁺¹⁾_k Θ⁽ˡ⁾_{k,i} g′(z⁽ˡ⁾)_i + δ⁽ˡ⁺¹⁾_k Θ⁽ˡ⁾_{k,i} ġ′(z⁽ˡ⁾)_i)
    1 ≤ i ≤ p"""
    p = len(gprime_z) - 1
    q = len(delta_next) - 1
    return [None, *[sum(delta_next_dot[k] * Theta[k][i] * gprime_z[i]
                        + delta_next[k] * Theta[k][i] * gprime_z_dot[i]
                        for k in range(1, q + 1))
                    for i in range(1, p
                                   + 1)]]
