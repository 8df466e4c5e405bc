"""act.gelu.tanh.prime, made by `chainrule derive`. The steps are in act_gelu_tanh_prime.md."""

from chainrule.scalar import number, pi, sqrt, tanh


def act_gelu_tanh_prime(x):
    """gelu.tanh′(x) = 1/2 + tanh(√(2) (8943 x³/200000 + x)/√(π))/2 + √(2) x (1 + 26829 x²/200000)
                    (1 − tanh(√(2) (8943 x³/200000 + x)/√(π))²)/(2 √(π))"""
    return (number(x, 1) / 2
            + tanh(sqrt(number(x, 2)) * (8943 * x ** 3 / 200000 + x) / sqrt(pi(x))) / 2
            + sqrt(number(x, 2)) * x * (1 + 26829 * x ** 2 / 200000) * (1 - tanh(sqrt(number(x, 2)) * (8943 * x ** 3 / 200000 + x) / sqrt(pi(x))) ** 2) / (2 * sqrt(pi(x))))
