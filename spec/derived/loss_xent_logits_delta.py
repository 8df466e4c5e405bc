"""loss.xent.logits.delta, made by `chainrule derive`. The steps are in loss_xent_logits_delta.md."""

from chainrule.scalar import exp


def loss_xent_logits_delta(z, y):
    """∂ℒ/∂z = 1/(1 + exp(−z)) − y"""
    return 1 / (1 + exp(-z)) - y
