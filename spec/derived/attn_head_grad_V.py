"""attn.head.grad_V, made by `chainrule derive`. The steps are in attn_head_grad_V.md."""

from chainrule.scalar import exp


def attn_head_grad_V(d, Q, K, scale):
    """∂ℒ/∂V_{r,f} = Σ_{s=0}^{S−1} d_{s,f} P_{s,r},   0 ≤ r ≤ T − 1, 0 ≤ f ≤ E − 1"""
    S = len(Q)
    T = len(K)
    D = len(Q[0])
    E = len(d[0])
    A = [[scale * sum(Q[s][b] * K[t][b] for b in range(D)) for t in range(T)] for s in range(S)]
    N = [sum(exp(A[s][u]) for u in range(T)) for s in range(S)]
    P = [[exp(A[s][t]) / N[s] for t in range(T)] for s in range(S)]
    return [[sum(d[s][f] * P[s][r] for s in range(S)) for f in range(E)] for r in range(T)]
