"""act.sigmoid.prime, made by `chainrule derive`. The steps are in act_sigmoid_prime.md."""

from chainrule.scalar import exp


def act_sigmoid_prime(z):
    """g′(z) = g (1 − g)"""
    g = 1 / (1 + exp(-z))
    return g * (1 - g)


def act_sigmoid_prime_jvp(z_dot, z):
    """(g(z))˙ = ż exp(−z)/(1 + exp(−z))²"""
    return z_dot * exp(-z) / (1 + exp(-z)) ** 2


def act_sigmoid_prime_hvp(z_dot, z):
    """(g′(z))˙ = ġ (1 − g) − g ġ"""
    g = 1 / (1 + exp(-z))
    g_dot = z_dot * exp(-z) / (1 + exp(-z)) ** 2
    return g_dot * (1 - g) - g * g_dot
