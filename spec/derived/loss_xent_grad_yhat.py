"""loss.xent.grad_yhat, made by `chainrule derive`. The steps are in loss_xent_grad_yhat.md."""


def loss_xent_grad_yhat(y, yhat):
    """∂ℒ/∂ŷ = y/ŷ − (1 − y)/(1 − ŷ)"""
    return y / yhat - (1 - y) / (1 - yhat)


def loss_xent_grad_yhat_jvp(yhat_dot, y, yhat):
    """ℒ̇ = y ŷ̇/ŷ − ŷ̇ (1 − y)/(1 − ŷ)"""
    return y * yhat_dot / yhat - yhat_dot * (1 - y) / (1 - yhat)


def loss_xent_grad_yhat_hvp(yhat_dot, y, yhat):
    """(∂ℒ/∂ŷ)˙ = −y ŷ̇/ŷ² − ŷ̇ (1 − y)/(1 − ŷ)²"""
    return -y * yhat_dot / yhat ** 2 - yhat_dot * (1 - y) / (1 - yhat) ** 2
