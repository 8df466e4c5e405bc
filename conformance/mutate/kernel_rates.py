"""How strong the suite is against wrong kernels, as the last whole survey found it: a committed file, and tables of it.

`kernel_survey --record` writes both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from textwrap import wrap
from typing import Any

from ... import in_readme, write_whole

RATES = Path(__file__).with_name("kernel_rates.json")
README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- kernel mutants: written by `make mutate-kernels ARGS=--record` -->", "<!-- end -->"
COLUMNS = ("mutants", "noticed", "field", "exact", "structural", "structural noticed exactly")


@cache
def committed() -> dict[str, Any]:
    """What the last survey found; nothing where none was recorded."""
    return dict(json.loads(RATES.read_text(encoding="utf-8"))) if RATES.exists() else {"ops": {}}


def wrong_kernels(ops: Iterable[str]) -> dict[str, int]:
    """How many mutants of these ops' kernels were tried, of those that compile and are not equivalent, and noticed."""
    return together(committed()["ops"], ops)


def together(rates: Mapping[str, Mapping[str, int]], ops: Iterable[str]) -> dict[str, int]:
    """The rates of several ops as one."""
    wanted = [rates[op] for op in ops if op in rates]
    return {name: sum(one[name] for one in wanted) for name in COLUMNS}


def table(rates: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Markdown: a row each, all of them together last."""
    rows = ["| | mutants | noticed | by the field | else by exact data | structural | by one of the two |",
            "|---|---:|---:|---:|---:|---:|---:|"]
    for name, one in [*rates.items(), ("all", together(rates, rates))]:
        cells = (one["mutants"], rate(one["noticed"], one["mutants"]), rate(one["field"], one["mutants"]),
                 rate(one["exact"], one["mutants"]), one["structural"],
                 rate(one["structural noticed exactly"], one["structural"]))
        rows.append(f"| {name} | {' | '.join(map(str, cells))} |")
    return rows


def rate(count: int, of: int) -> str:
    return f"{count / of:.1%}" if of else "–"


def chapters(rates: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """The rates by the first word of an op."""
    words = dict.fromkeys(op.partition(".")[0] for op in rates)
    return {word: together(rates, (op for op in rates if op.partition(".")[0] == word)) for word in words}


def block(found: Mapping[str, Any]) -> str:
    """What the README says."""
    how = f"make mutate-kernels ARGS=\"--sample {found['sample']} --seed {found['seed']}\""
    words = (
        f"Of {found['mutants']:,} mutants of our Triton kernels, one thing changed in each, {found['sample']:,} were "
        f"drawn, even over kernels and kinds of changes, and {found['tried']:,} of these tried (`{how}`; commits "
        f"{', '.join(found['commits']) or 'unknown'}; {found['seconds']:,} s of one core). {found['stillborn']} do not "
        f"compile; of {found['same']} Triton makes the same code as of ours in every op; {found['equivalent']} more "
        f"are equivalent; {found['holes']} are noticed by neither field nor exact data, nor by floats "
        "where these were asked: why stands in "
        f"`conformance/mutate/kernel_survivors.toml`, but for {found['unexplained']} not explained yet. "
        f"{found['late']} are noticed only by never ending. Of all other kernels:")
    lines = wrap(words, 118, break_long_words=False, break_on_hyphens=False)
    return "\n".join([BEGIN, *lines, "", *table(chapters(found["ops"])), END])


def replaced(text: str, new: str) -> str:
    """The text with the block in the place of the one that is there, or else before the chapter on speed."""
    if BEGIN in text:
        return in_readme(text, BEGIN, END, new)
    before, chapter, rest = text.partition("## Speed\n")
    return f"{before}{new}\n\n{chapter}{rest}"


def record(found: Mapping[str, Any]) -> None:
    """Keep what a survey found, and say it in the README."""
    write_whole(RATES, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    write_whole(README, replaced(README.read_text(encoding="utf-8"), block(found)))
