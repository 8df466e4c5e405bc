"""loss.xent.grad_yhat, made by `chainrule derive`. The steps are in loss_xent_grad_yhat.md."""


def loss_xent_grad_yhat(y, yhat):
    """∂ℒ/∂ŷ = y/ŷ − (1 − y)/(1 − ŷ)"""
    return y / yhat - (1 - y) / (1 - yhat)
