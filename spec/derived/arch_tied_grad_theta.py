"""arch.tied.grad_theta, made by `chainrule derive`. The steps are in arch_tied_grad_theta.md."""

from chainrule.scalar import where


def arch_tied_grad_theta(G, t, T):
    """∂ℒ/∂θ_q = Σ_{k=0}^{m−1} Σ_{l=0}^{n−1} G_{k,l} [t_{k,l} = q],   0 ≤ q ≤ T − 1"""
    m = len(G)
    n = len(G[0])
    return [sum(where(t[k][l] == q, G[k][l], 0)
                for k in range(m)
                for l in range(n))
            for q in range(T)]


def arch_tied_grad_theta_jvp(theta_dot, t, a):
    """ż_k = Σ_{l=0}^{n−1} a_l θ̇_{t_{k,l}},   0 ≤ k ≤ m − 1"""
    m = len(t)
    n = len(t[0])
    return [sum(a[l] * theta_dot[t[k][l]] for l in range(n)) for k in range(m)]


def arch_tied_grad_theta_hvp(G_dot, G, t, T):
    """(∂ℒ/∂θ_q)˙ = Σ_{k=0}^{m−1} Σ_{l=0}^{n−1} Ġ_{k,l} [t_{k,l} = q],   0 ≤ q ≤ T − 1"""
    m = len(G)
    n = len(G[0])
    return [sum(where(t[k][l] == q, G_dot[k][l], 0)
                for k in range(m)
                for l in range(n))
            for q in range(T)]
