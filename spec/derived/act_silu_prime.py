"""act.silu.prime, made by `chainrule derive`. The steps are in act_silu_prime.md."""

from chainrule.scalar import exp


def act_silu_prime(x):
    """silu′(x) = 1/(1 + exp(−x)) + x exp(−x)/(1 + exp(−x))²"""
    return 1 / (1 + exp(-x)) + x * exp(-x) / (1 + exp(-x)) ** 2
