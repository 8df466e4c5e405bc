"""loss.hinge.delta, made by `chainrule derive`. The steps are in loss_hinge_delta.md."""

from chainrule.scalar import where


def loss_hinge_delta(y, z):
    """∂ℒ/∂z = { 0 if y z ≥ 1; else −y }"""
    return where(y * z >= 1, 0, -y)


def loss_hinge_delta_jvp(z_dot, y, z):
    """ℒ̇ = { 0 if y z ≥ 1; else −y ż }"""
    return where(y * z >= 1, 0, -y * z_dot)


def loss_hinge_delta_hvp(z_dot, y, z):
    """(∂ℒ/∂z)˙ = 0"""
    return 0
