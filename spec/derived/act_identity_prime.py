"""act.identity.prime, made by `chainrule derive`. The steps are in act_identity_prime.md."""


def act_identity_prime(x):
    """identity′(x) = 1"""
    return 1


def act_identity_prime_jvp(x_dot):
    """(identity(x))˙ = ẋ"""
    return x_dot


def act_identity_prime_hvp(x_dot, x):
    """(identity′(x))˙ = 0"""
    return 0
