"""arch.shared.layer.grad_b, made by `chainrule derive`. The steps are in arch_shared_layer_grad_b.md."""


def arch_shared_layer_grad_b(d):
    """∂ℒ/∂b = Σ_{i=0}^{n−1} d_i"""
    n = len(d)
    return sum(d[i] for i in range(n))


def arch_shared_layer_grad_b_jvp(b_dot, n):
    """ż_i = ḃ,   0 ≤ i ≤ n − 1"""
    return [b_dot for i in range(n)]


def arch_shared_layer_grad_b_hvp(d_dot, d):
    """(∂ℒ/∂b)˙ = Σ_{i=0}^{n−1} ḋ_i"""
    n = len(d)
    return sum(d_dot[i] for i in range(n))
