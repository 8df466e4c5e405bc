"""loss.xent.logits.delta, made by `chainrule derive`. The steps are in loss_xent_logits_delta.md."""

from chainrule.scalar import exp


def loss_xent_logits_delta(z, y):
    """∂ℒ/∂z = 1/(1 + exp(−z)) − y"""
    return 1 / (1 + exp(-z)) - y


def loss_xent_logits_delta_jvp(z_dot, y, z):
    """ℒ̇ = ȧ (1 − y)/(1 − a) − y ȧ/a"""
    a = 1 / (1 + exp(-z))
    a_dot = z_dot * exp(-z) / (1 + exp(-z)) ** 2
    return a_dot * (1 - y) / (1 - a) - y * a_dot / a


def loss_xent_logits_delta_hvp(z_dot, z, y):
    """(∂ℒ/∂z)˙ = ż exp(−z)/(1 + exp(−z))²"""
    return z_dot * exp(-z) / (1 + exp(-z)) ** 2
