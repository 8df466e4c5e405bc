"""act.tanh.prime, made by `chainrule derive`. The steps are in act_tanh_prime.md."""

from chainrule.scalar import exp


def act_tanh_prime(x):
    """tanh′(x) = 4/(exp(x) + exp(−x))²"""
    return 4 / (exp(x) + exp(-x)) ** 2
