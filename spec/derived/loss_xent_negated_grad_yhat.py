"""loss.xent.negated.grad_yhat, made by `chainrule derive`. The steps are in loss_xent_negated_grad_yhat.md."""


def loss_xent_negated_grad_yhat(y, yhat):
    """∂ℒ/∂ŷ = (1 − y)/(1 − ŷ) − y/ŷ"""
    return (1 - y) / (1 - yhat) - y / yhat
