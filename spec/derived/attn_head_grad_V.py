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


def attn_head_grad_V_jvp(V_dot, Q, K, scale):
    """ȯ_{s,e} = Σ_{t=0}^{T−1} P_{s,t} V̇_{t,e},   0 ≤ s ≤ S − 1, 0 ≤ e ≤ E − 1"""
    T = len(V_dot)
    E = len(V_dot[0])
    S = len(Q)
    D = len(Q[0])
    A = [[scale * sum(Q[s][b] * K[t][b] for b in range(D)) for t in range(T)] for s in range(S)]
    N = [sum(exp(A[s][u]) for u in range(T)) for s in range(S)]
    P = [[exp(A[s][t]) / N[s] for t in range(T)] for s in range(S)]
    return [[sum(P[s][t] * V_dot[t][e] for t in range(T)) for e in range(E)] for s in range(S)]


def attn_head_grad_V_hvp(d_dot, d, Q, K, scale):
    """(∂ℒ/∂V_{r,f})˙ = Σ_{s=0}^{S−1} ḋ_{s,f} P_{s,r},   0 ≤ r ≤ T − 1, 0 ≤ f ≤ E − 1"""
    S = len(Q)
    T = len(K)
    D = len(Q[0])
    E = len(d[0])
    A = [[scale * sum(Q[s][b] * K[t][b] for b in range(D)) for t in range(T)] for s in range(S)]
    N = [sum(exp(A[s][u]) for u in range(T)) for s in range(S)]
    P = [[exp(A[s][t]) / N[s] for t in range(T)] for s in range(S)]
    return [[sum(d_dot[s][f] * P[s][r] for s in range(S)) for f in range(E)] for r in range(T)]
