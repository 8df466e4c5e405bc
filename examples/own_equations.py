"""Equations of your own, outside this repository: derived, proved, printed.

    chainrule derive own_equations:chapters --out build/own
    chainrule show --from own_equations:chapters own.pool.mean.grad_x
    chainrule show --from own_equations.toml own.huber.delta
"""

from pathlib import Path

import sympy as sp

from chainrule.spec.derive.chapters import Chapters
from chainrule.spec.derive.language import arrays, indices, sizes
from chainrule.spec.derive.steps import Derivation, Output, sample, trials

chapters = Chapters(records=Path(__file__).with_name("own_equations.toml"))

x, y, d = arrays("x y d")
i, j, m, n, p, q = indices("i j m n p q")
H, W, M, N, S, A, B = sizes("H W M N S A B")
BOX = sample(20, lambda H, W, M, N, S: M <= H and N <= W,
             H=(1, 2, 3, 5), W=(1, 2, 4, 6), M=(1, 2, 3), N=(1, 2, 3), S=(1, 2, 3))
SIZES = [{**one, "A": (one["H"] - one["M"]) // one["S"] + 1, "B": (one["W"] - one["N"]) // one["S"] + 1} for one in BOX]


@chapters.derives("own.pool.mean.grad_x")
def pool_mean(id: str) -> Derivation:
    window = sp.Sum(x[S * i + m, S * j + n], (n, 0, N - 1), (m, 0, M - 1)) / (M * N)
    D = Derivation(
        id=id, title="The gradient of average pooling.",
        output=Output(entry=y[i, j], means=window, over=((i, 0, A - 1), (j, 0, B - 1)), delta=d[i, j]),
        wrt=x[p, q], over=((p, 0, H - 1), (q, 0, W - 1)),
        shapes={x: ((0, H - 1), (0, W - 1)), d: ((0, A - 1), (0, B - 1))},
        python=("d", "H", "W", "M", "N", "S"), values={"H": H, "W": W, "M": M, "N": N, "S": S},
        lengths={A: "len(d)", B: "len(d[0])"}, order=("d",),
        trials=trials({"H": H, "W": W, "M": M, "N": N, "S": S, "A": A, "B": B}, SIZES))
    D.chain()
    D.differentiate()
    D.collapse(m, why="only m = p − S i, where the window has that row")
    D.collapse(n, why="only n = q − S j, where it has that column")
    D.absorb(i, j, why="the windows that (p, q) lies in")
    return D
