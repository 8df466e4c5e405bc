"""arch.shared.layer.grad_b, made by `chainrule derive`. The steps are in arch_shared_layer_grad_b.md."""


def arch_shared_layer_grad_b(d):
    """∂ℒ/∂b = Σ_{i=0}^{n−1} d_i"""
    n = len(d)
    return sum(d[i] for i in range(n))
