"""bp.grad, made by `chainrule derive`. The steps are in bp_grad.md."""


def bp_grad(delta_next, a):
    """∂ℒ/∂Θ⁽ˡ⁾_{i,j} = δ⁽ˡ⁺¹⁾_i a⁽ˡ⁾_j,   1 ≤ i ≤ q, 0 ≤ j ≤ p"""
    p = len(a) - 1
    q = len(delta_next) - 1
    return [None, *[[delta_next[i] * a[j] for j in range(p + 1)] for i in range(1, q + 1)]]


def bp_grad_jvp(Theta_dot, a):
    """ż⁽ˡ⁺¹⁾_k = Σ_{r=0}^p Θ̇⁽ˡ⁾_{k,r} a⁽ˡ⁾_r,   1 ≤ k ≤ q"""
    q = len(Theta_dot) - 1
    p = len(Theta_dot[1]) - 1
    return [None, *[sum(Theta_dot[k][r] * a[r] for r in range(p + 1)) for k in range(1, q + 1)]]


def bp_grad_hvp(delta_next_dot, delta_next, a):
    """(∂ℒ/∂Θ⁽ˡ⁾_{i,j})˙ = δ̇⁽ˡ⁺¹⁾_i a⁽ˡ⁾_j,   1 ≤ i ≤ q, 0 ≤ j ≤ p"""
    p = len(a) - 1
    q = len(delta_next) - 1
    return [None, *[[delta_next_dot[i] * a[j] for j in range(p + 1)] for i in range(1, q + 1)]]
