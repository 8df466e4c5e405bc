"""act.softplus.prime, made by `chainrule derive`. The steps are in act_softplus_prime.md."""

from chainrule.scalar import exp


def act_softplus_prime(x):
    """softplus′(x) = exp(x)/(1 + exp(x))"""
    return exp(x) / (1 + exp(x))


def act_softplus_prime_jvp(x_dot, x):
    """(softplus(x))˙ = ẋ exp(x)/(1 + exp(x))"""
    return x_dot * exp(x) / (1 + exp(x))


def act_softplus_prime_hvp(x_dot, x):
    """(softplus′(x))˙ = ẋ exp(x)/(1 + exp(x)) − ẋ exp(2 x)/(1 + exp(x))²"""
    return x_dot * exp(x) / (1 + exp(x)) - x_dot * exp(2 * x) / (1 + exp(x)) ** 2
