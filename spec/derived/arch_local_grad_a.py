"""arch.local.grad_a, made by `chainrule derive`. The steps are in arch_local_grad_a.md."""


def arch_local_grad_a(delta, Theta):
    """∂ℒ/∂a_k = Σ_{i=0}^{n−1} δ_i Θ_{i,k} [max(0, i − 1) ≤ k ≤ min(i + 1, n − 1)],   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [sum(delta[i] * Theta[i][k]
                for i in range(n)
                if max(0, i - 1) <= k <= min(i + 1, n - 1))
            for k in range(n)]


def arch_local_grad_a_jvp(a_dot, Theta):
    """ż_i = Σ_{j=max(0,i−1)}^{min(i+1,n−1)} Θ_{i,j} ȧ_j,   0 ≤ i ≤ n − 1"""
    n = len(a_dot)
    return [sum(Theta[i][j] * a_dot[j]
                for j in range(max(0, i - 1), min(i + 1, n - 1) + 1))
            for i in range(n)]


def arch_local_grad_a_hvp(delta_dot, delta, Theta):
    """(∂ℒ/∂a_k)˙ = Σ_{i=0}^{n−1} δ̇_i Θ_{i,k} [max(0, i − 1) ≤ k ≤ min(i + 1, n − 1)],   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [sum(delta_dot[i] * Theta[i][k]
                for i in range(n)
                if max(0, i - 1) <= k <= min(i + 1, n - 1))
            for k in range(n)]
