"""arch.local.layer.grad_b, made by `chainrule derive`. The steps are in arch_local_layer_grad_b.md."""


def arch_local_layer_grad_b(d):
    """∂ℒ/∂b_p = d_p,   0 ≤ p ≤ n − 1"""
    n = len(d)
    return [d[p] for p in range(n)]
