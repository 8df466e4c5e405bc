"""alg.delta.out, made by `chainrule derive`. The steps are in alg_delta_out.md."""


def alg_delta_out(a, y):
    """δ⁽ᴸ⁺¹⁾_i = a⁽ᴸ⁺¹⁾_i − y_i,   1 ≤ i ≤ K"""
    K = len(a) - 1
    return [None, *[a[i] - y[i] for i in range(1, K + 1)]]
