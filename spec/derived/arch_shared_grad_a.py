"""arch.shared.grad_a, made by `chainrule derive`. The steps are in arch_shared_grad_a.md."""


def arch_shared_grad_a(delta, theta, h):
    """∂ℒ/∂a_k = Σ_{i=0}^{n−1} δ_i θ_{k+h−i} [max(0, i − h) ≤ k ≤ min(i + h, n − 1)],   0 ≤ k ≤ n − 1"""
    n = len(delta)
    return [sum(delta[i] * theta[k + h - i]
                for i in range(n)
                if max(0, i - h) <= k <= min(i + h, n - 1))
            for k in range(n)]
