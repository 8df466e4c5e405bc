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
