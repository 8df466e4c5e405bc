"""arch.shared.grad_a, made by `chainrule derive`. The steps are in arch_shared_grad_a.md."""


def arch_shared_grad_a(delta, theta, h):
    """∂ℒ/∂a_k = Σ_{i=0}^{n−1} δ_i θ_{k+h−i} [max(0, i − h) ≤ k ≤ min(i + h, n − 1)],   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [sum(delta[i] * theta[k + h - i]
                for i in range(n)
                if max(0, i - h) <= k <= min(i + h, n - 1))
            for k in range(n)]


def arch_shared_grad_a_jvp(a_dot, theta):
    """ż_i = Σ_{j=max(0,i−h)}^{min(i+h,n−1)} θ_{j+h−i} ȧ_j,   0 ≤ i ≤ n − 1"""
    n = len(a_dot)
    h = (len(theta) - 1) // 2
    return [sum(theta[j + h - i] * a_dot[j]
                for j in range(max(0, i - h), min(i + h, n - 1) + 1))
            for i in range(n)]


def arch_shared_grad_a_hvp(delta_dot, delta, theta, h):
    """(∂ℒ/∂a_k)˙ = Σ_{i=0}^{n−1} δ̇_i θ_{k+h−i} [max(0, i − h) ≤ k ≤ min(i + h, n − 1)]
    0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [sum(delta_dot[i] * theta[k + h - i]
                for i in range(n)
                if max(0, i - h) <= k <= min(i + h, n - 1))
            for k in range(n)]
