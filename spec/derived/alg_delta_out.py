"""alg.delta.out, made by `chainrule derive`. The steps are in alg_delta_out.md."""


def alg_delta_out(a, y):
    """δ⁽ᴸ⁺¹⁾_i = a⁽ᴸ⁺¹⁾_i − y_i,   1 ≤ i ≤ K"""
    K = len(a) - 1
    return [None, *[a[i] - y[i] for i in range(1, K + 1)]]


def alg_delta_out_jvp(z_dot, z, y, g, g_prime):
    """ℒ̇ = Σ_{k=1}^K (ȧ⁽ᴸ⁺¹⁾_k (1 − y_k)/(1 − a⁽ᴸ⁺¹⁾_k) − y_k ȧ⁽ᴸ⁺¹⁾_k/a⁽ᴸ⁺¹⁾_k)"""
    K = len(z_dot) - 1
    a = [None, *[g(z[k]) for k in range(1, K + 1)]]
    a_dot = [None, *[z_dot[k] * g_prime(z[k]) for k in range(1, K + 1)]]
    return sum(a_dot[k] * (1 - y[k]) / (1 - a[k]) - y[k] * a_dot[k] / a[k] for k in range(1, K + 1))


def alg_delta_out_hvp(a_dot, a, y):
    """(δ⁽ᴸ⁺¹⁾_i)˙ = ȧ⁽ᴸ⁺¹⁾_i,   1 ≤ i ≤ K"""
    K = len(a) - 1
    return [None, *[a_dot[i] for i in range(1, K + 1)]]
