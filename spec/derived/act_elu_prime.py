"""act.elu.prime, made by `chainrule derive`. The steps are in act_elu_prime.md."""

from chainrule.scalar import exp, where


def act_elu_prime(x, alpha=1):
    """elu′(x) = { 1 if x ≥ 0; else α exp(x) }"""
    return where(x >= 0, 1, lambda: alpha * exp(x))
