"""arch.local.grad_Theta, made by `chainrule derive`. The steps are in arch_local_grad_Theta.md."""


def arch_local_grad_Theta(d, a):
    """∂ℒ/∂Θ_{i,j} = d_i a_j [−1 ≤ i − j ≤ 1],   0 ≤ i ≤ n − 1, 0 ≤ j ≤ n − 1"""
    n = len(d)
    return [[(d[i] * a[j] if -1 <= i - j <= 1 else 0) for j in range(n)] for i in range(n)]
