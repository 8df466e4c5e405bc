"""act.leaky.prime, made by `chainrule derive`. The steps are in act_leaky_prime.md."""

from chainrule.scalar import number, where


def act_leaky_prime(x, slope=None):
    """leaky′(x) = { s if x ≤ 0; else 1 }"""
    slope = number(x, 1) / 10 if slope is None else slope
    return where(x <= 0, slope, 1)
