"""`python -m chainrule.conformance.report FILE…`: the page of a run, or of several the scoreboard."""

from __future__ import annotations

import argparse
from pathlib import Path

from ... import readable
from .page import write


def main() -> None:
    readable()
    parser = argparse.ArgumentParser(prog="python -m chainrule.conformance.report", description=__doc__)
    parser.add_argument("results", type=Path, nargs="+", help="result files of `chainrule conform`")
    parser.add_argument("-o", "--out", type=Path, help="the page [beside the first file]")
    given = parser.parse_args()
    for path in given.results:
        if not path.is_file():
            parser.error(f"{path} is not a file; `chainrule conform --json FILE` writes one")
    name = "index.html" if len(given.results) == 1 else "scoreboard.html"
    print(f"report: {write(given.results, given.out or given.results[0].with_name(name))}")


if __name__ == "__main__":
    main()
