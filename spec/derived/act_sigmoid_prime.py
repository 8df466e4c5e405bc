"""act.sigmoid.prime, made by `chainrule derive`. The steps are in act_sigmoid_prime.md."""

from chainrule.scalar import exp


def act_sigmoid_prime(z):
    """g′(z) = g (1 − g)"""
    g = 1 / (1 + exp(-z))
    return g * (1 - g)
