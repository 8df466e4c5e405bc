"""loss.kl.grad_q, made by `chainrule derive`. The steps are in loss_kl_grad_q.md."""


def loss_kl_grad_q(delta, p, q):
    """∂ℒ/∂q_l = −δ p_l/q_l,   0 ≤ l ≤ K − 1"""
    K = len(p)
    return [-delta * p[l] / q[l] for l in range(K)]


def loss_kl_grad_q_jvp(q_dot, p, q):
    """ż = −Σ_{k=0}^{K−1} p_k q̇_k/q_k"""
    K = len(q_dot)
    return -sum(p[k] * q_dot[k] / q[k] for k in range(K))


def loss_kl_grad_q_hvp(delta_dot, q_dot, delta, p, q):
    """(∂ℒ/∂q_l)˙ = δ p_l q̇_l/(q_l)² − δ̇ p_l/q_l,   0 ≤ l ≤ K − 1"""
    K = len(p)
    return [delta * p[l] * q_dot[l] / q[l] ** 2 - delta_dot * p[l] / q[l] for l in range(K)]
