"""bp.delta.rec, made by `chainrule derive`. The steps are in bp_delta_rec.md."""


def bp_delta_rec(Theta, delta_next, a):
    """δ⁽ˡ⁾_i = a⁽ˡ⁾_i (1 − a⁽ˡ⁾_i) Σ_{k=1}^q δ⁽ˡ⁺¹⁾_k Θ⁽ˡ⁾_{k,i},   1 ≤ i ≤ p"""
    p = len(a) - 1
    q = len(delta_next) - 1
    return [None, *[a[i] * (1 - a[i]) * sum(delta_next[k] * Theta[k][i]
                                            for k in range(1, q + 1))
                    for i in range(1, p + 1)]]


def bp_delta_rec_jvp(z_dot, Theta, z, g_prime):
    """ż⁽ˡ⁺¹⁾_k = Σ_{j=1}^p Θ⁽ˡ⁾_{k,j} ȧ⁽ˡ⁾_j,   1 ≤ k ≤ q"""
    p = len(z_dot) - 1
    q = len(Theta) - 1
    a_dot = [None, *[z_dot[j] * g_prime(z[j]) for j in range(1, p + 1)]]
    return [None, *[sum(Theta[k][j] * a_dot[j] for j in range(1, p + 1)) for k in range(1, q + 1)]]


def bp_delta_rec_hvp(delta_next_dot, a_dot, Theta, delta_next, a):
    """(δ⁽ˡ⁾_i)˙ = ȧ⁽ˡ⁾_i (1 − a⁽ˡ⁾_i) Σ_{k=1}^q δ⁽ˡ⁺¹⁾_k Θ⁽ˡ⁾_{k,i} + a⁽ˡ⁾_i (1 − a⁽ˡ⁾_i) Σ_{k=1}^q
                δ̇⁽ˡ⁺¹⁾_k Θ⁽ˡ⁾_{k,i} − ȧ⁽ˡ⁾_i a⁽ˡ⁾_i Σ_{k=1}^q δ⁽ˡ⁺¹⁾_k Θ⁽ˡ⁾_{k,i}
    1 ≤ i ≤ p"""
    p = len(a) - 1
    q = len(delta_next) - 1
    return [None, *[a_dot[i] * (1 - a[i]) * sum(delta_next[k] * Theta[k][i]
                                                for k in range(1, q + 1))
                    + a[i] * (1 - a[i]) * sum(delta_next_dot[k] * Theta[k][i]
                                              for k in range(1, q + 1))
                    - a_dot[i] * a[i] * sum(delta_next[k] * Theta[k][i]
                                            for k in range(1, q + 1))
                    for i in range(1, p + 1)]]
