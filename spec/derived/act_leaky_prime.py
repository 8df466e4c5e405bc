"""act.leaky.prime, made by `chainrule derive`. The steps are in act_leaky_prime.md."""

from chainrule.scalar import where


def act_leaky_prime(x, slope=0.1):
    """leaky′(x) = { s if x ≤ 0; else 1 }"""
    return where(x <= 0, slope, 1)
