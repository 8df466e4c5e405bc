"""loss.square.delta, made by `chainrule derive`. The steps are in loss_square_delta.md."""


def loss_square_delta(y, yhat):
    """∂ℒ/∂ŷ = 2 (ŷ − y)"""
    return 2 * (yhat - y)


def loss_square_delta_jvp(yhat_dot, y, yhat):
    """ℒ̇ = −ŷ̇ (2 y − 2 ŷ)"""
    return -yhat_dot * (2 * y - 2 * yhat)


def loss_square_delta_hvp(yhat_dot, y, yhat):
    """(∂ℒ/∂ŷ)˙ = 2 ŷ̇"""
    return 2 * yhat_dot
