"""act.tanh.prime, made by `chainrule derive`. The steps are in act_tanh_prime.md."""

from chainrule.scalar import exp, tanh


def act_tanh_prime(x):
    """tanh′(x) = 4/(exp(x) + exp(−x))²"""
    return 4 / (exp(x) + exp(-x)) ** 2


def act_tanh_prime_jvp(x_dot, x):
    """(tanh(x))˙ = (ẋ exp(x) + ẋ exp(−x))/(exp(x) + exp(−x)) − (exp(x) − exp(−x))
                 (ẋ exp(x) − ẋ exp(−x))/(exp(x) + exp(−x))²"""
    return ((x_dot * exp(x) + x_dot * exp(-x)) / (exp(x) + exp(-x))
            - (exp(x) - exp(-x)) * (x_dot * exp(x) - x_dot * exp(-x)) / (exp(x) + exp(-x)) ** 2)


def act_tanh_prime_hvp(x_dot, x):
    """(tanh′(x))˙ = −8 (ẋ exp(x) − ẋ exp(−x))/(exp(x) + exp(−x))³"""
    return -8 * (x_dot * exp(x) - x_dot * exp(-x)) / (exp(x) + exp(-x)) ** 3
