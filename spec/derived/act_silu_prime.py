"""act.silu.prime, made by `chainrule derive`. The steps are in act_silu_prime.md."""

from chainrule.scalar import exp


def act_silu_prime(x):
    """silu′(x) = 1/(1 + exp(−x)) + x exp(−x)/(1 + exp(−x))²"""
    return 1 / (1 + exp(-x)) + x * exp(-x) / (1 + exp(-x)) ** 2


def act_silu_prime_jvp(x_dot, x):
    """(silu(x))˙ = x ẋ exp(−x)/(1 + exp(−x))² + ẋ/(1 + exp(−x))"""
    return x * x_dot * exp(-x) / (1 + exp(-x)) ** 2 + x_dot / (1 + exp(-x))


def act_silu_prime_hvp(x_dot, x):
    """(silu′(x))˙ = 2 x ẋ exp(−2 x)/(1 + exp(−x))³ + 2 ẋ exp(−x)/(1 + exp(−x))² − x ẋ
                  exp(−x)/(1 + exp(−x))²"""
    return (2 * x * x_dot * exp(-2 * x) / (1 + exp(-x)) ** 3
            + 2 * x_dot * exp(-x) / (1 + exp(-x)) ** 2
            - x * x_dot * exp(-x) / (1 + exp(-x)) ** 2)
