"""arch.local.grad_Theta, made by `chainrule derive`. The steps are in arch_local_grad_Theta.md."""


def arch_local_grad_Theta(d, a):
    """∂ℒ/∂Θ_{i,j} = d_i a_j [−1 ≤ i − j ≤ 1],   0 ≤ i ≤ n − 1, 0 ≤ j ≤ n − 1"""
    n = len(d)
    return [[(d[i] * a[j] if -1 <= i - j <= 1 else 0) for j in range(n)] for i in range(n)]


def arch_local_grad_Theta_jvp(Theta_dot, a):
    """ż_k = Σ_{l=0}^{n−1} a_l Θ̇_{k,l} [−1 ≤ k − l ≤ 1],   0 ≤ k ≤ n − 1"""
    n = len(Theta_dot)
    return [sum(a[l] * Theta_dot[k][l] for l in range(n) if -1 <= k - l <= 1) for k in range(n)]


def arch_local_grad_Theta_hvp(d_dot, d, a):
    """(∂ℒ/∂Θ_{i,j})˙ = ḋ_i a_j [−1 ≤ i − j ≤ 1],   0 ≤ i ≤ n − 1, 0 ≤ j ≤ n − 1"""
    n = len(d)
    return [[(d_dot[i] * a[j] if -1 <= i - j <= 1 else 0) for j in range(n)] for i in range(n)]
