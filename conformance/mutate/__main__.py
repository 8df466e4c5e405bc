"""`python -m chainrule.conformance.mutate`: change one thing in every record and every reference; who notices?

Exit code 0 where everything that can be noticed is, 1 otherwise; nothing run counts as nothing noticed.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ... import readable
from . import reference_mutants, spec_mutants


def main(console: Console) -> int:
    """Run both, print the table and whoever survived."""
    with ExitStack() as stack:
        bar = stack.enter_context(Progress(console=console, transient=True, disable=not console.is_terminal))
        first = bar.add_task("records", total=None)
        records = spec_mutants.run()
        bar.update(first, total=1, completed=1)
        second = bar.add_task("references")
        references = reference_mutants.run(lambda done, total: bar.update(second, completed=done, total=total))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("changed", "mutants", "noticed", "equivalent", "survived", "score", "seconds"):
        table.add_column(name, justify="left" if name == "changed" else "right")
    table.add_row("records", str(records.count), str(records.killed), str(records.equivalent),
                  str(len(records.survivors)), f"{records.rate:.2%}", f"{records.seconds:.0f}")
    table.add_row("references", str(references.total), str(references.killed), str(references.equivalent),
                  str(len(references.survived)), f"{references.score:.2%}", f"{references.seconds:.0f}")
    console.print(table)
    for one in (*records.survivors, *records.stale, *references.survived, *references.error):
        console.print(f"not noticed: {one}", markup=False)
    return 0 if records.rate == 1 and not records.stale and references.passed else 1


if __name__ == "__main__":
    readable()
    sys.exit(main(Console(highlight=False)))
