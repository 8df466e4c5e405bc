"""Precision that is quietly taken away: how often is it noticed?

`python -m chainrule.conformance.mutate.downgrades`: our kernels with tf32 for ieee, sums in float16, statistics in
bfloat16 or an exponential of half precision, judged on sums of K = 256 terms and more, in every dtype, on several
distributions and draws. Says how many runs notice, by downgrade, op and dtype; as a control, that our own kernels pass.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import product

from attrs import frozen

from ... import readable
from ..backends.triton import backend as ours
from ..judging.cases import Case, long_sums
from ..judging.judge import judge
from ..judging.verdict import FAIL, Verdict
from .kernel_rates import rate
from .kernels import Edit, backend_with

LEAST = 0.95
FLOATS, HALVES = ("fp32",), ("fp16", "bf16")
TILE, LAYER, ATTENTION = "blocks.tiles", "images.layer", "attention.kernels"
PRODUCT = "total = tl.dot(tile_a, tile_b, total, input_precision=PRECISION)"
FILTERED = "total = tl.dot(tile, tl.trans(taken), total, input_precision=PRECISION)"
WEIGHED = "out = tl.dot(p.to(values.dtype), values, out * old[:, None], input_precision=PRECISION)"
EXP = "return tl.exp2(r * LOG2E) * power(half) * power(n - half)"
HALF = ".to(tl.float16).to(tl.float32)"
BRAIN = ".to(tl.bfloat16).to(tl.float32)"


@frozen
class Downgrade:
    """One way to lose precision, and the edits that take it."""

    name: str
    edits: tuple[Edit, ...]
    dtypes: tuple[str, ...]


def _of(module: str, old: str, new: str, *ops: str) -> tuple[Edit, ...]:
    return tuple(Edit(module, op, "downgraded", old, new, False) for op in ops)


PRODUCTS = ("net.layer.affine", "bp.delta.chain", "alg.average")
DOWNGRADES = (
    Downgrade("tf32 for ieee", (
        *_of(TILE, PRODUCT, PRODUCT.replace("PRECISION", '"tf32"'), *PRODUCTS),
        *_of(LAYER, FILTERED, FILTERED.replace("PRECISION", '"tf32"'), "conv2d.layer"),
        *_of(ATTENTION, WEIGHED, WEIGHED.replace("PRECISION", '"tf32"'), "attn.head")), FLOATS),
    Downgrade("sums in float16", (
        *_of(TILE, PRODUCT, PRODUCT + HALF, *PRODUCTS), *_of(LAYER, FILTERED, FILTERED + HALF, "conv2d.layer"),
        *_of(ATTENTION, WEIGHED, WEIGHED + HALF, "attn.head")), (*FLOATS, *HALVES)),
    Downgrade("statistics in bfloat16", (
        *_of("norms.layer", "    mu = tl.div_rn(tl.sum(tile, 1), n)\n",
             f"    mu = tl.div_rn(tl.sum(tile, 1), n){BRAIN}\n", "norm.layer"),
        *_of("norms.kernels", "its_mean = tl.div_rn(tl.sum(sizes * means, 0), count)\n",
             f"its_mean = tl.div_rn(tl.sum(sizes * means, 0), count){BRAIN}\n", "norm.batch")), (*FLOATS, *HALVES)),
    Downgrade("an exponential of half precision", (
        *_of("blocks.elementary", EXP, f"return tl.exp2((x * LOG2E){HALF}){HALF}", "act.softmax",
             "loss.softmax"),), (*FLOATS, *HALVES)),
)


def judged(word: str, draws: int) -> Iterator[tuple[tuple[str, str, str, str], list[Verdict], list[Verdict]]]:
    """Every downgraded kernel on one size and draw of every distribution: who it is, its verdicts, and ours there."""
    for one in DOWNGRADES:
        for edit in (edit for edit in one.edits if word in f"{one.name} {edit.op}"):
            wrong = backend_with(edit)
            for dtype, draw in product(one.dtypes, range(draws)):
                sizes: dict[str, list[Case]] = defaultdict(list)
                for case in long_sums(edit.op, dtype, f".{draw}"):
                    sizes[case.id.split("/")[2]].append(case)
                for size, cases in sizes.items():
                    theirs, right = ([judge(c, b, "simulated", False) for c in cases] for b in (wrong, ours))
                    yield (one.name, edit.op, dtype, size), theirs, right


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m chainrule.conformance.mutate.downgrades", description=__doc__)
    parser.add_argument("--draws", type=int, default=2, help="of data, at each size and distribution [2]")
    parser.add_argument("-k", dest="word", default="", help="downgrades or ops with this word")
    given = parser.parse_args(arguments)
    kernels: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    runs: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
    accused = []
    for (name, op, dtype, _), theirs, right in judged(given.word, given.draws):
        states = [verdict.state == FAIL for verdict in theirs]
        kernels[name, op, dtype].append(any(states))
        runs[name, op, dtype] += states
        accused += [verdict for verdict in right if not verdict.passed]
    print("| downgrade | op | dtype | kernels | noticed | cases | noticed |")
    print("|---|---|---|---:|---:|---:|---:|")
    for key, found in kernels.items():
        print(f"| {' | '.join(key)} | {len(found)} | {_rate(found)} | {len(runs[key])} | {_rate(runs[key])} |")
    every, all_runs = ([one for found in each.values() for one in found] for each in (kernels, runs))
    print(f"{sum(every)} of {len(every)} downgraded kernels noticed ({_rate(every)}), each on every distribution, in "
          f"{sum(all_runs)} of {len(all_runs)} cases; in as many, {len(accused)} of ours accused")
    for verdict in accused:
        print(verdict.report())
    return 0 if every and sum(every) >= LEAST * len(every) and not accused else 1


def _rate(found: list[bool]) -> str:
    return rate(sum(found), len(found))


if __name__ == "__main__":
    readable()
    sys.exit(main())
