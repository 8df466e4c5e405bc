"""act.gelu.tanh.prime, made by `chainrule derive`. The steps are in act_gelu_tanh_prime.md."""

from chainrule.scalar import number, pi, sqrt, tanh


def act_gelu_tanh_prime(x):
    """gelu.tanh′(x) = 1/2 + tanh(√(2) (8943 x³/200000 + x)/√(π))/2 + √(2) x (1 + 26829 x²/200000)
                    (1 − tanh(√(2) (8943 x³/200000 + x)/√(π))²)/(2 √(π))"""
    return (number(x, 1) / 2
            + tanh(sqrt(number(x, 2)) * (8943 * x ** 3 / 200000 + x) / sqrt(pi(x))) / 2
            + sqrt(number(x, 2)) * x * (1 + 26829 * x ** 2 / 200000) * (1 - tanh(sqrt(number(x, 2)) * (8943 * x ** 3 / 200000 + x) / sqrt(pi(x))) ** 2) / (2 * sqrt(pi(x))))


def act_gelu_tanh_prime_jvp(x_dot, x):
    """(gelu.tanh(x))˙ = ẋ (1 + tanh(√(2) (8943 x³/200000 + x)/√(π)))/2 + √(2) x
                      (1 − tanh(√(2) (8943 x³/200000 + x)/√(π))²) (26829 x² ẋ/200000 + ẋ)/(2 √(π))"""
    return (x_dot * (1 + tanh(sqrt(number(x_dot, 2)) * (8943 * x ** 3 / 200000 + x) / sqrt(pi(x_dot)))) / 2
            + sqrt(number(x_dot, 2)) * x * (1 - tanh(sqrt(number(x_dot, 2)) * (8943 * x ** 3 / 200000 + x) / sqrt(pi(x_dot))) ** 2) * (26829 * x ** 2 * x_dot / 200000 + x_dot) / (2 * sqrt(pi(x_dot))))


def act_gelu_tanh_prime_hvp(x_dot, x):
    """(gelu.tanh′(x))˙ = 26829 √(2) x² ẋ (1 − tanh(√(2) (8943 x³/200000 + x)/√(π))²)/(200000 √(π)) +
                       √(2) (1 − tanh(√(2) (8943 x³/200000 + x)/√(π))²)
                       (26829 x² ẋ/200000 + ẋ)/(2 √(π)) + √(2) ẋ (1 + 26829 x²/200000)
                       (1 − tanh(√(2) (8943 x³/200000 + x)/√(π))²)/(2 √(π)) − 2 x
                       (1 + 26829 x²/200000) (1 − tanh(√(2) (8943 x³/200000 + x)/√(π))²)
                       (26829 x² ẋ/200000 + ẋ) tanh(√(2) (8943 x³/200000 + x)/√(π))/π"""
    return (26829 * sqrt(number(x_dot, 2)) * x ** 2 * x_dot * (1 - tanh(sqrt(number(x_dot, 2)) * (8943 * x ** 3 / 200000 + x) / sqrt(pi(x_dot))) ** 2) / (200000 * sqrt(pi(x_dot)))
            + sqrt(number(x_dot, 2)) * (1 - tanh(sqrt(number(x_dot, 2)) * (8943 * x ** 3 / 200000 + x) / sqrt(pi(x_dot))) ** 2) * (26829 * x ** 2 * x_dot / 200000 + x_dot) / (2 * sqrt(pi(x_dot)))
            + sqrt(number(x_dot, 2)) * x_dot * (1 + 26829 * x ** 2 / 200000) * (1 - tanh(sqrt(number(x_dot, 2)) * (8943 * x ** 3 / 200000 + x) / sqrt(pi(x_dot))) ** 2) / (2 * sqrt(pi(x_dot)))
            - 2 * x * (1 + 26829 * x ** 2 / 200000) * (1 - tanh(sqrt(number(x_dot, 2)) * (8943 * x ** 3 / 200000 + x) / sqrt(pi(x_dot))) ** 2) * (26829 * x ** 2 * x_dot / 200000 + x_dot) * tanh(sqrt(number(x_dot, 2)) * (8943 * x ** 3 / 200000 + x) / sqrt(pi(x_dot))) / pi(x_dot))
