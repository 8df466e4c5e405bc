"""`python -m chainrule.book`: the README's picture, drawn again."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import drawings  # noqa: F401  (enters the pictures)
from .pictures import standalone

README = "backward"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m chainrule.book", description=__doc__)
    parser.add_argument("-o", "--out", type=Path, default=Path(f"docs/{README}.svg"), help="the file [%(default)s]")
    given = parser.parse_args()
    given.out.write_text(standalone(README), encoding="utf-8")
    print(given.out)


if __name__ == "__main__":
    main()
