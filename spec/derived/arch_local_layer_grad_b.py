"""arch.local.layer.grad_b, made by `chainrule derive`. The steps are in arch_local_layer_grad_b.md."""


def arch_local_layer_grad_b(d):
    """∂ℒ/∂b_p = d_p,   0 ≤ p ≤ n − 1"""
    n = len(d)
    return [d[p] for p in range(n)]


def arch_local_layer_grad_b_jvp(b_dot):
    """ż_i = ḃ_i,   0 ≤ i ≤ n − 1"""
    n = len(b_dot)
    return [b_dot[i] for i in range(n)]


def arch_local_layer_grad_b_hvp(d_dot, d):
    """(∂ℒ/∂b_p)˙ = ḋ_p,   0 ≤ p ≤ n − 1"""
    n = len(d)
    return [d_dot[p] for p in range(n)]
