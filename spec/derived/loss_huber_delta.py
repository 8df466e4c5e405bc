"""loss.huber.delta, made by `chainrule derive`. The steps are in loss_huber_delta.md."""

from chainrule.scalar import where


def loss_huber_delta(y, yhat, c=1):
    """∂ℒ/∂ŷ = { ŷ − y if c ≥ |y − ŷ|; else c { −1 if y − ŷ ≥ 0; else 1 } }"""
    return where(c >= abs(y - yhat), yhat - y, c * where(y - yhat >= 0, -1, 1))


def loss_huber_delta_jvp(yhat_dot, y, yhat, c):
    """ℒ̇ = { −ŷ̇ (2 y − 2 ŷ)/2 if c ≥ |y − ŷ|; else c { −ŷ̇ if y − ŷ ≥ 0; else ŷ̇ } }"""
    return where(c >= abs(y - yhat), -yhat_dot * (2 * y - 2 * yhat) / 2, c * where(y - yhat >= 0, -yhat_dot, yhat_dot))


def loss_huber_delta_hvp(yhat_dot, y, yhat, c=1):
    """(∂ℒ/∂ŷ)˙ = { ŷ̇ if c ≥ |y − ŷ|; else 0 }"""
    return where(c >= abs(y - yhat), yhat_dot, 0)
