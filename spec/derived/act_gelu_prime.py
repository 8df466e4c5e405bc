"""act.gelu.prime, made by `chainrule derive`. The steps are in act_gelu_prime.md."""

from chainrule.scalar import erf, exp, number, pi, sqrt


def act_gelu_prime(x):
    """gelu′(x) = 1/2 + erf(√(2) x/2)/2 + √(2) x exp(−x²/2)/(2 √(π))"""
    return (number(x, 1) / 2
            + erf(sqrt(number(x, 2)) * x / 2) / 2
            + sqrt(number(x, 2)) * x * exp(-x ** 2 / 2) / (2 * sqrt(pi(x))))


def act_gelu_prime_jvp(x_dot, x):
    """(gelu(x))˙ = ẋ (1 + erf(√(2) x/2))/2 + √(2) x ẋ exp(−x²/2)/(2 √(π))"""
    return (x_dot * (1 + erf(sqrt(number(x_dot, 2)) * x / 2)) / 2
            + sqrt(number(x_dot, 2)) * x * x_dot * exp(-x ** 2 / 2) / (2 * sqrt(pi(x_dot))))


def act_gelu_prime_hvp(x_dot, x):
    """(gelu′(x))˙ = √(2) ẋ exp(−x²/2)/√(π) − √(2) x² ẋ exp(−x²/2)/(2 √(π))"""
    return (sqrt(number(x_dot, 2)) * x_dot * exp(-x ** 2 / 2) / sqrt(pi(x_dot))
            - sqrt(number(x_dot, 2)) * x ** 2 * x_dot * exp(-x ** 2 / 2) / (2 * sqrt(pi(x_dot))))
