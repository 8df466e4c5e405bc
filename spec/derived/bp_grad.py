"""bp.grad, made by `chainrule derive`. The steps are in bp_grad.md."""


def bp_grad(delta_next, a):
    """∂ℒ/∂Θ⁽ˡ⁾_{i,j} = δ⁽ˡ⁺¹⁾_i a⁽ˡ⁾_j,   1 ≤ i ≤ q, 0 ≤ j ≤ p"""
    p = len(a) - 1
    q = len(delta_next) - 1
    return [None, *[[delta_next[i] * a[j] for j in range(p + 1)] for i in range(1, q + 1)]]
