"""attn.head.grad_Q, made by `chainrule derive`. The steps are in attn_head_grad_Q.md."""

from chainrule.scalar import exp


def attn_head_grad_Q(d, Q, K, V, scale):
    """∂ℒ/∂Q_{r,w} = c Σ_{t=0}^{T−1} B_{r,t} K_{t,w},   0 ≤ r ≤ S − 1, 0 ≤ w ≤ D − 1"""
    S = len(Q)
    T = len(K)
    D = len(Q[0])
    E = len(d[0])
    A = [[scale * sum(Q[s][b] * K[t][b] for b in range(D)) for t in range(T)] for s in range(S)]
    N = [sum(exp(A[s][u]) for u in range(T)) for s in range(S)]
    P = [[exp(A[s][t]) / N[s] for t in range(T)] for s in range(S)]
    G = [[sum(d[s][e] * V[t][e] for e in range(E)) for t in range(T)] for s in range(S)]
    M = [sum(P[s][u] * G[s][u] for u in range(T)) for s in range(S)]
    B = [[P[s][t] * (G[s][t] - M[s]) for t in range(T)] for s in range(S)]
    return [[scale * sum(B[r][t] * K[t][w] for t in range(T)) for w in range(D)] for r in range(S)]
