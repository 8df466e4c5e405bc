"""Gradients of the convolutions the deck prints (it calls them so; all three are cross-correlations)."""

from __future__ import annotations

import sympy as sp

from ..language import Within, arrays, indices, sizes
from ..steps import Derivation, Output, grid, trials
from .register import derives

d, theta, x, a, y, z = arrays("d theta x a y z")
i, j, p, q = indices("i j p q")
m, n, H, W, M, N = sizes("m n H W M N")
h = sp.Symbol("h", integer=True, nonnegative=True)
I, K, Y, G = arrays("I K y d")
u, v = indices("u v")
VALID = trials({"m": m, "n": n}, grid(lambda m, n: m <= n, m=range(1, 6), n=range(1, 9)))


def _valid() -> Output:
    means = sp.Sum(theta[j] * x[i + j], (j, 0, m - 1))
    return Output(entry=y[i], means=means, over=((i, 0, n - m),), delta=d[i])


@derives("conv1d.valid.grad_x")
def conv1d_valid_grad_x(id: str) -> Derivation:
    D = Derivation(
        id=id, title="The gradient of the valid 1-D convolution (θ ∗ x)_i with respect to its input.",
        output=_valid(), wrt=x[p], over=((p, 0, n - 1),),
        shapes={x: ((0, n - 1),), theta: ((0, m - 1),), d: ((0, n - m),)},
        python=("d", "theta"), lengths={m: "len(theta)", n: "len(d) + m - 1"},
        trials=VALID, relations="1 ≤ m ≤ n", order=("d", "theta", "x"),
    )
    D.chain()
    D.differentiate()
    D.collapse(j, why="only j = p − i survives, where the filter has it")
    D.absorb(i, why="that condition, read as one on i, becomes the range of i")
    D.reindex(i, j, p - j, why="i = p − j, so that the sum runs over the filter")
    return D


@derives("conv1d.valid.grad_theta")
def conv1d_valid_grad_theta(id: str) -> Derivation:
    D = Derivation(
        id=id, title="The gradient of the valid 1-D convolution (θ ∗ x)_i with respect to its filter.",
        output=_valid(), wrt=theta[q], over=((q, 0, m - 1),),
        shapes={x: ((0, n - 1),), theta: ((0, m - 1),), d: ((0, n - m),)},
        python=("d", "x"), lengths={n: "len(x)", m: "n - len(d) + 1"},
        trials=VALID, relations="1 ≤ m ≤ n", order=("d", "theta", "x"),
    )
    D.chain()
    D.differentiate()
    D.collapse(j, why="only j = q survives")
    D.holds(why="0 ≤ q ≤ m − 1")
    return D


def _centred() -> Output:
    means = sp.Sum(theta[j + h] * a[i + j] * Within(i + j, 0, n - 1), (j, -h, h))
    return Output(entry=z[i], means=means, over=((i, 0, n - 1),), delta=d[i])


CENTRED = trials({"h": h, "n": n}, grid(h=range(4), n=range(1, 8)))


@derives("conv1d.centred.grad_a")
def conv1d_centred_grad_a(id: str) -> Derivation:
    D = Derivation(
        id=id, title="The gradient of the centred 1-D convolution z_i = Σ_j θ_{j+h} a_{i+j} with respect to a.",
        output=_centred(), wrt=a[p], over=((p, 0, n - 1),),
        shapes={a: ((0, n - 1),), theta: ((0, 2 * h),), d: ((0, n - 1),)},
        python=("d", "theta"), lengths={n: "len(d)", h: "(len(theta) - 1) // 2"},
        trials=CENTRED, relations="m = 2 h + 1 is odd, n ≥ 1", order=("d", "theta", "a"),
        assumes=("zero padding: terms with i + j outside 0…n − 1 are left out",),
    )
    D.chain()
    D.differentiate()
    D.collapse(j, why="only j = p − i survives, where the filter has it")
    D.holds(why="the entry exists: 0 ≤ p ≤ n − 1")
    D.absorb(i, why="−h ≤ p − i ≤ h, read as a condition on i, becomes the range of i")
    D.reindex(i, j, p - j, why="i = p − j, so that the sum runs over the filter")
    return D


@derives("conv1d.centred.grad_theta")
def conv1d_centred_grad_theta(id: str) -> Derivation:
    D = Derivation(
        id=id, title="The gradient of the centred 1-D convolution z_i = Σ_j θ_{j+h} a_{i+j} with respect to θ.",
        output=_centred(), wrt=theta[q], over=((q, 0, 2 * h),),
        shapes={a: ((0, n - 1),), theta: ((0, 2 * h),), d: ((0, n - 1),)},
        python=("d", "a", "m"), values={"m": 2 * h + 1}, lengths={n: "len(d)", h: "(m - 1) // 2"},
        trials=CENTRED, relations="m = 2 h + 1 is odd, n ≥ 1", order=("d", "theta", "a"),
        assumes=("zero padding: terms with i + j outside 0…n − 1 are left out",),
    )
    D.chain()
    D.differentiate()
    D.collapse(j, why="only j = q − h survives")
    D.holds(why="−h ≤ q − h ≤ h because 0 ≤ q ≤ 2 h")
    D.absorb(i, why="the padding's condition becomes the range of i")
    return D


def _image() -> Output:
    means = sp.Sum(I[i + u, j + v] * K[u, v], (v, 0, N - 1), (u, 0, M - 1))
    return Output(entry=Y[i, j], means=means, over=((i, 0, H - M), (j, 0, W - N)), delta=G[i, j])


IMAGE = {I: ((0, H - 1), (0, W - 1)), K: ((0, M - 1), (0, N - 1)), G: ((0, H - M), (0, W - N))}
SMALL = trials({"H": H, "W": W, "M": M, "N": N}, grid(
    lambda H, W, M, N: M <= H and N <= W, H=range(1, 5), W=range(1, 5), M=range(1, 4), N=range(1, 4)))


@derives("conv2d.valid.grad_I")
def conv2d_valid_grad_I(id: str) -> Derivation:
    D = Derivation(
        id=id, title="The gradient of the 2-D convolution (I ∗ K)(i, j) with respect to the image.",
        output=_image(), wrt=I[p, q], over=((p, 0, H - 1), (q, 0, W - 1)), shapes=IMAGE,
        python=("d", "K"), lengths={M: "len(K)", N: "len(K[0])", H: "len(d) + M - 1", W: "len(d[0]) + N - 1"},
        trials=SMALL, relations="1 ≤ M ≤ H, 1 ≤ N ≤ W", order=("d", "K", "I"),
    )
    D.chain()
    D.differentiate()
    D.collapse(u, why="only u = p − i survives, where the filter has that row")
    D.collapse(v, why="only v = q − j survives, where the filter has that column")
    D.absorb(i, j, why="both conditions become the ranges of i and j")
    D.reindex(i, u, p - u, why="i = p − u, so that the sum runs over the filter's rows")
    D.reindex(j, v, q - v, why="j = q − v, and over its columns")
    return D


@derives("conv2d.valid.grad_K")
def conv2d_valid_grad_K(id: str) -> Derivation:
    D = Derivation(
        id=id, title="The gradient of the 2-D convolution (I ∗ K)(i, j) with respect to the filter.",
        output=_image(), wrt=K[p, q], over=((p, 0, M - 1), (q, 0, N - 1)), shapes=IMAGE,
        python=("d", "I"), lengths={H: "len(I)", W: "len(I[0])", M: "H - len(d) + 1", N: "W - len(d[0]) + 1"},
        trials=SMALL, relations="1 ≤ M ≤ H, 1 ≤ N ≤ W", order=("d", "I", "K"),
    )
    D.chain()
    D.differentiate()
    D.collapse(u, why="only u = p survives")
    D.collapse(v, why="only v = q survives")
    D.holds(why="0 ≤ p ≤ M − 1, 0 ≤ q ≤ N − 1")
    return D
