"""conv2d.layer.grad_b, made by `chainrule derive`. The steps are in conv2d_layer_grad_b.md."""


def conv2d_layer_grad_b(d, groups=1):
    """∂ℒ/∂b_k = Σ_{i=0}^{A−1} Σ_{j=0}^{B−1} d_{k,i,j},   0 ≤ k ≤ F G − 1"""
    G = groups
    F = len(d) // G
    A = len(d[0])
    B = len(d[0][0])
    return [sum(d[k][i][j] for i in range(A) for j in range(B)) for k in range(F * G)]


def conv2d_layer_grad_b_jvp(b_dot, F, G, A, B):
    """ẏ_{f+Fg,i,j} = ḃ_{f+Fg},   0 ≤ g ≤ G − 1, 0 ≤ f ≤ F − 1, 0 ≤ i ≤ A − 1, 0 ≤ j ≤ B − 1"""
    return [[[b_dot[f + F * g]
              for j in range(B)]
             for i in range(A)]
            for g in range(G)
            for f in range(F)]


def conv2d_layer_grad_b_hvp(d_dot, d, groups=1):
    """(∂ℒ/∂b_k)˙ = Σ_{i=0}^{A−1} Σ_{j=0}^{B−1} ḋ_{k,i,j},   0 ≤ k ≤ F G − 1"""
    G = groups
    F = len(d) // G
    A = len(d[0])
    B = len(d[0][0])
    return [sum(d_dot[k][i][j] for i in range(A) for j in range(B)) for k in range(F * G)]
