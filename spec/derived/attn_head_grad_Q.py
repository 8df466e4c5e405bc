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


def attn_head_grad_Q_jvp(Q_dot, Q, K, V, scale):
    """ȯ_{s,e} = Σ_{t=0}^{T−1} Ṗ_{s,t} V_{t,e},   0 ≤ s ≤ S − 1, 0 ≤ e ≤ E − 1"""
    S = len(Q_dot)
    D = len(Q_dot[0])
    T = len(K)
    E = len(V[0])
    A = [[scale * sum(Q[s][b] * K[t][b] for b in range(D)) for t in range(T)] for s in range(S)]
    A_dot = [[scale * sum(Q_dot[s][b] * K[t][b]
                          for b in range(D))
              for t in range(T)]
             for s in range(S)]
    N = [sum(exp(A[s][u]) for u in range(T)) for s in range(S)]
    N_dot = [sum(A_dot[s][u] * exp(A[s][u]) for u in range(T)) for s in range(S)]
    P_dot = [[A_dot[s][t] * exp(A[s][t]) / N[s] - N_dot[s] * exp(A[s][t]) / N[s] ** 2
              for t in range(T)]
             for s in range(S)]
    return [[sum(P_dot[s][t] * V[t][e] for t in range(T)) for e in range(E)] for s in range(S)]


def attn_head_grad_Q_hvp(d_dot, Q_dot, d, Q, K, V, scale):
    """(∂ℒ/∂Q_{r,w})˙ = c Σ_{t=0}^{T−1} Ḃ_{r,t} K_{t,w},   0 ≤ r ≤ S − 1, 0 ≤ w ≤ D − 1"""
    S = len(Q)
    T = len(K)
    D = len(Q[0])
    E = len(d[0])
    A = [[scale * sum(Q[s][b] * K[t][b] for b in range(D)) for t in range(T)] for s in range(S)]
    A_dot = [[scale * sum(Q_dot[s][b] * K[t][b]
                          for b in range(D))
              for t in range(T)]
             for s in range(S)]
    N = [sum(exp(A[s][u]) for u in range(T)) for s in range(S)]
    N_dot = [sum(A_dot[s][u] * exp(A[s][u]) for u in range(T)) for s in range(S)]
    P = [[exp(A[s][t]) / N[s] for t in range(T)] for s in range(S)]
    P_dot = [[A_dot[s][t] * exp(A[s][t]) / N[s] - N_dot[s] * exp(A[s][t]) / N[s] ** 2
              for t in range(T)]
             for s in range(S)]
    G = [[sum(d[s][e] * V[t][e] for e in range(E)) for t in range(T)] for s in range(S)]
    G_dot = [[sum(d_dot[s][e] * V[t][e] for e in range(E)) for t in range(T)] for s in range(S)]
    M = [sum(P[s][u] * G[s][u] for u in range(T)) for s in range(S)]
    M_dot = [sum(P[s][u] * G_dot[s][u] + P_dot[s][u] * G[s][u] for u in range(T)) for s in range(S)]
    B_dot = [[P_dot[s][t] * (G[s][t] - M[s]) + P[s][t] * (G_dot[s][t] - M_dot[s])
              for t in range(T)]
             for s in range(S)]
    return [[scale * sum(B_dot[r][t] * K[t][w]
                         for t in range(T))
             for w in range(D)]
            for r in range(S)]
