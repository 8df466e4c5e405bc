"""attn.head.grad_K, made by `chainrule derive`. The steps are in attn_head_grad_K.md."""

from chainrule.scalar import exp


def attn_head_grad_K(d, Q, K, V, scale):
    """∂ℒ/∂K_{r,w} = c Σ_{s=0}^{S−1} B_{s,r} Q_{s,w},   0 ≤ r ≤ T − 1, 0 ≤ w ≤ D − 1"""
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
    return [[scale * sum(B[s][r] * Q[s][w] for s in range(S)) for w in range(D)] for r in range(T)]
