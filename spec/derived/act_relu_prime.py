"""act.relu.prime, made by `chainrule derive`. The steps are in act_relu_prime.md."""

from chainrule.scalar import where


def act_relu_prime(x):
    """relu′(x) = { 0 if x ≤ 0; else 1 }"""
    return where(x <= 0, 0, 1)


def act_relu_prime_jvp(x_dot, x):
    """(relu(x))˙ = { 0 if x ≤ 0; else ẋ }"""
    return where(x <= 0, 0, x_dot)


def act_relu_prime_hvp(x_dot, x):
    """(relu′(x))˙ = 0"""
    return 0
