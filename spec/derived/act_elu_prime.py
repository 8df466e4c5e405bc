"""act.elu.prime, made by `chainrule derive`. The steps are in act_elu_prime.md."""

from chainrule.scalar import exp, where


def act_elu_prime(x, alpha=1):
    """elu′(x) = { 1 if x ≥ 0; else α exp(x) }"""
    return where(x >= 0, 1, lambda: alpha * exp(x))


def act_elu_prime_jvp(x_dot, x, alpha):
    """(elu(x))˙ = { ẋ if x ≥ 0; else ẋ α exp(x) }"""
    return where(x >= 0, x_dot, lambda: x_dot * alpha * exp(x))


def act_elu_prime_hvp(x_dot, x, alpha=1):
    """(elu′(x))˙ = { 0 if x ≥ 0; else ẋ α exp(x) }"""
    return where(x >= 0, 0, lambda: x_dot * alpha * exp(x))
