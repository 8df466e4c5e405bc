"""norm.batch.grad_beta, made by `chainrule derive`. The steps are in norm_batch_grad_beta.md."""


def norm_batch_grad_beta(d):
    """∂ℒ/∂β = Σ_{i=0}^{n−1} d_i"""
    n = len(d)
    return sum(d[i] for i in range(n))
