"""act.softplus.prime, made by `chainrule derive`. The steps are in act_softplus_prime.md."""

from chainrule.scalar import exp


def act_softplus_prime(x):
    """softplus′(x) = exp(x)/(1 + exp(x))"""
    return exp(x) / (1 + exp(x))
