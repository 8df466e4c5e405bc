"""fc.layer.grad_Theta, made by `chainrule derive`. The steps are in fc_layer_grad_Theta.md."""


def fc_layer_grad_Theta(d, a):
    """∂ℒ/∂Θ_{i,j} = d_i a_j,   0 ≤ i ≤ m − 1, 0 ≤ j ≤ n − 1"""
    m = len(d)
    n = len(a)
    return [[d[i] * a[j] for j in range(n)] for i in range(m)]
