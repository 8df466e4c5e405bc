"""What the printed convolutions ask of their arguments."""

from __future__ import annotations

from torch import Tensor

from ..runtime import checks
from ..runtime.refusals import WrongValue


def filter1d(name: str, theta: Tensor, signal: Tensor, label: str) -> None:
    checks.floating(name, theta=theta, **{label: signal})
    checks.rank(name, 1, theta=theta, **{label: signal})
    if not theta.shape[0]:
        raise WrongValue(f"{name}: theta has 0 entries; a filter needs at least one")


def fits(
    name: str, filter_size: tuple[int, ...], signal_size: tuple[int, ...], labels: tuple[str, str]
) -> None:
    """The filter is no longer than the signal, so that at least one output exists."""
    if any(m > n for m, n in zip(filter_size, signal_size)):
        (m, *_), (n, *_) = zip(*((m, n) for m, n in zip(filter_size, signal_size) if m > n))
        raise WrongValue(f"{name}: {labels[0]} is longer than {labels[1]}: {m} > {n}; there is no output")


def image(name: str, **tensors: Tensor) -> None:
    checks.floating(name, **tensors)
    checks.rank(name, 2, **tensors)


def conv1d_valid(theta: Tensor, x: Tensor) -> int:
    """n − m + 1, the number of outputs."""
    filter1d("conv1d.valid", theta, x, "x")
    fits("conv1d.valid", tuple(theta.shape), tuple(x.shape), ("theta", "x"))
    return x.shape[0] - theta.shape[0] + 1


def conv1d_valid_grad_x(d: Tensor, theta: Tensor) -> int:
    """n = len(d) + m − 1, the length of x."""
    filter1d("conv1d.valid.grad_x", theta, d, "d")
    return d.shape[0] + theta.shape[0] - 1


def conv1d_valid_grad_theta(d: Tensor, x: Tensor) -> int:
    """m = n − len(d) + 1, the length of theta."""
    name = "conv1d.valid.grad_theta"
    checks.floating(name, d=d, x=x)
    checks.rank(name, 1, d=d, x=x)
    fits(name, tuple(d.shape), tuple(x.shape), ("d", "x"))
    return x.shape[0] - d.shape[0] + 1


def conv1d_centred(name: str, theta: Tensor, signal: Tensor, label: str) -> int:
    filter1d(name, theta, signal, label)
    return checks.odd(name, theta.shape[0])


def conv1d_centred_grad_theta(d: Tensor, a: Tensor, m: int) -> int:
    name = "conv1d.centred.grad_theta"
    checks.same(name, d=d, a=a)
    checks.rank(name, 1, d=d, a=a)
    return checks.odd(name, m)


def conv2d_valid(I: Tensor, K: Tensor) -> tuple[int, int]:
    """The shape of I ∗ K."""
    return _inner("conv2d.valid", ("K", "I"), K, I)


def conv2d_valid_grad_I(d: Tensor, K: Tensor) -> tuple[int, int]:
    """The shape of I."""
    image("conv2d.valid.grad_I", d=d, K=K)
    return d.shape[0] + K.shape[0] - 1, d.shape[1] + K.shape[1] - 1


def conv2d_valid_grad_K(d: Tensor, I: Tensor) -> tuple[int, int]:
    """The shape of K."""
    return _inner("conv2d.valid.grad_K", ("d", "I"), d, I)


def _inner(name: str, labels: tuple[str, str], window: Tensor, over: Tensor) -> tuple[int, int]:
    image(name, **dict(zip(labels, (window, over))))
    if not window.numel():
        raise WrongValue(
            f"{name}: {labels[0]} has shape {tuple(window.shape)}; a filter needs at least one entry")
    fits(name, tuple(window.shape), tuple(over.shape), labels)
    return over.shape[0] - window.shape[0] + 1, over.shape[1] - window.shape[1] + 1
