"""norm.layer.grad_beta, made by `chainrule derive`. The steps are in norm_layer_grad_beta.md."""


def norm_layer_grad_beta(d):
    """∂ℒ/∂β_p = d_p,   0 ≤ p ≤ n − 1"""
    n = len(d)
    return [d[p] for p in range(n)]
