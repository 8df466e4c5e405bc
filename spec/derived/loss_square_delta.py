"""loss.square.delta, made by `chainrule derive`. The steps are in loss_square_delta.md."""


def loss_square_delta(y, yhat):
    """∂ℒ/∂ŷ = 2 (ŷ − y)"""
    return 2 * (yhat - y)
