"""vit.patches.grad_x, made by `chainrule derive`. The steps are in vit_patches_grad_x.md."""


def vit_patches_grad_x(d, P, H, W):
    """∂ℒ/∂x_{k,p,q} = d_{V⌊p/P⌋+⌊q/P⌋,P²k+P(p−P⌊p/P⌋)+q−P⌊q/P⌋}
    0 ≤ k ≤ C − 1, 0 ≤ p ≤ P U − 1, 0 ≤ q ≤ P V − 1"""
    U = H // P
    V = W // P
    C = len(d[0]) // (P * P)
    return [[[d[V * (p // P) + q // P][P ** 2 * k + P * (p - P * (p // P)) + q - P * (q // P)]
              for q in range(P * V)]
             for p in range(P * U)]
            for k in range(C)]


def vit_patches_grad_x_jvp(x_dot, P, U, V):
    """ẏ_{Vu+v,P²c+Pm+n} = ẋ_{c,m+Pu,n+Pv}
    0 ≤ u ≤ U − 1, 0 ≤ v ≤ V − 1, 0 ≤ c ≤ C − 1, 0 ≤ m ≤ P − 1, 0 ≤ n ≤ P − 1"""
    C = len(x_dot)
    return [[x_dot[c][m + P * u][n + P * v]
             for c in range(C)
             for m in range(P)
             for n in range(P)]
            for u in range(U)
            for v in range(V)]


def vit_patches_grad_x_hvp(d_dot, d, P, H, W):
    """(∂ℒ/∂x_{k,p,q})˙ = ḋ_{V⌊p/P⌋+⌊q/P⌋,P²k+P(p−P⌊p/P⌋)+q−P⌊q/P⌋}
    0 ≤ k ≤ C − 1, 0 ≤ p ≤ P U − 1, 0 ≤ q ≤ P V − 1"""
    U = H // P
    V = W // P
    C = len(d[0]) // (P * P)
    return [[[d_dot[V * (p // P) + q // P][P ** 2 * k + P * (p - P * (p // P)) + q - P * (q // P)]
              for q in range(P * V)]
             for p in range(P * U)]
            for k in range(C)]
