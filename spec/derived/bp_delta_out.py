"""bp.delta.out, made by `chainrule derive`. The steps are in bp_delta_out.md."""


def bp_delta_out(y, a):
    """δ⁽ᴸ⁺¹⁾_i = y_i − a⁽ᴸ⁺¹⁾_i,   1 ≤ i ≤ K"""
    K = len(a) - 1
    return [None, *[y[i] - a[i] for i in range(1, K + 1)]]
