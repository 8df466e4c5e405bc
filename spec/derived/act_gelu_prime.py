"""act.gelu.prime, made by `chainrule derive`. The steps are in act_gelu_prime.md."""

from chainrule.scalar import erf, exp, number, pi, sqrt


def act_gelu_prime(x):
    """gelu′(x) = 1/2 + erf(√(2) x/2)/2 + √(2) x exp(−x²/2)/(2 √(π))"""
    return (number(x, 1) / 2
            + erf(sqrt(number(x, 2)) * x / 2) / 2
            + sqrt(number(x, 2)) * x * exp(-x ** 2 / 2) / (2 * sqrt(pi(x))))
