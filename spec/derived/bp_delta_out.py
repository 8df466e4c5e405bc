"""bp.delta.out, made by `chainrule derive`. The steps are in bp_delta_out.md."""


def bp_delta_out(y, a):
    """δ⁽ᴸ⁺¹⁾_i = y_i − a⁽ᴸ⁺¹⁾_i,   1 ≤ i ≤ K"""
    K = len(a) - 1
    return [None, *[y[i] - a[i] for i in range(1, K + 1)]]


def bp_delta_out_jvp(z_dot, z, y, g, g_prime):
    """ℒ̇ = Σ_{k=1}^K (y_k ȧ⁽ᴸ⁺¹⁾_k/a⁽ᴸ⁺¹⁾_k − ȧ⁽ᴸ⁺¹⁾_k (1 − y_k)/(1 − a⁽ᴸ⁺¹⁾_k))"""
    K = len(z_dot) - 1
    a = [None, *[g(z[k]) for k in range(1, K + 1)]]
    a_dot = [None, *[z_dot[k] * g_prime(z[k]) for k in range(1, K + 1)]]
    return sum(y[k] * a_dot[k] / a[k] - a_dot[k] * (1 - y[k]) / (1 - a[k]) for k in range(1, K + 1))


def bp_delta_out_hvp(a_dot, y, a):
    """(δ⁽ᴸ⁺¹⁾_i)˙ = −ȧ⁽ᴸ⁺¹⁾_i,   1 ≤ i ≤ K"""
    K = len(a) - 1
    return [None, *[-a_dot[i] for i in range(1, K + 1)]]
