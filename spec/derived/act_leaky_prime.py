"""act.leaky.prime, made by `chainrule derive`. The steps are in act_leaky_prime.md."""

from chainrule.scalar import number, where


def act_leaky_prime(x, slope=None):
    """leaky′(x) = { s if x ≤ 0; else 1 }"""
    slope = number(x, 1) / 10 if slope is None else slope
    return where(x <= 0, slope, 1)


def act_leaky_prime_jvp(x_dot, x, slope):
    """(leaky(x))˙ = { ẋ s if x ≤ x s; else ẋ }"""
    return where(x <= x * slope, x_dot * slope, x_dot)


def act_leaky_prime_hvp(x_dot, x, slope=None):
    """(leaky′(x))˙ = 0"""
    slope = number(x, 1) / 10 if slope is None else slope
    return 0
