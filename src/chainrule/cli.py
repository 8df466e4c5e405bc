"""The front door: `chainrule conform`, `derive`, `show`, `book`, `doctor`.

Exit codes: 0 pass · 1 a check failed · 2 bad usage · 3 nothing was checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="A lecture deck on neural networks and backpropagation, made executable.")
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


@app.callback()
def front_door(version: Annotated[bool, typer.Option("--version", help="print the version and stop")] = False) -> None:
    """A lecture deck on neural networks and backpropagation, made executable."""
    if version:
        from . import __version__

        console.print(f"chainrule {__version__}")
        raise typer.Exit


def refuse(command: str, why: object) -> NoReturn:
    """One sentence on stderr, exit code 2."""
    errors.print(f"chainrule {command}: {why}", markup=False, soft_wrap=True)
    raise typer.Exit(2)


@app.command()
def conform(
    backend: Annotated[str | None, typer.Argument(help="triton (the default), torch, or module:attribute")] = None,
    op: Annotated[list[str] | None, typer.Option(help="judge one function: ID=module:function (repeatable)")] = None,
    dtype: Annotated[str, typer.Option(help="comma-separated: fp32,fp16,bf16")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="one case per op, tier and dtype")] = False,
    case: Annotated[list[str] | None, typer.Option(help="replay one case by its id (repeatable)")] = None,
    keyword: Annotated[str, typer.Option("-k", help="only cases whose id matches, as in pytest -k")] = "",
    first: Annotated[bool, typer.Option("-x", help="stop at the first failure")] = False,
    workers: Annotated[int, typer.Option("-n", help="judge in this many processes")] = 0,
    simulate: Annotated[bool | None, typer.Option("--simulate/--native", help="where kernels run; without either, "
                                                  "on the GPU if there is one, else in the simulator")] = None,
    json: Annotated[Path | None, typer.Option(help="result file [build/conformance/results.jsonl]")] = None,
    list_: Annotated[bool, typer.Option("--list", help="show the ops (with -k: the cases) and stop")] = False,
) -> None:
    """Judge kernels against the reference."""
    try:
        from .conformance.backend import BackendError
        from .conformance.command import conform as run
        from .conformance.command import listing
        from .conformance.selection import select
    except ModuleNotFoundError as missing:
        refuse("conform", f'{missing.name} is not installed; pip install "chainrule[conformance]" brings it')
    dtypes = tuple(d.strip() for d in dtype.split(",") if d.strip())
    mode = "auto" if simulate is None else "simulated" if simulate else "native"
    try:
        if list_:
            console.print(listing(select(backend, ops=tuple(op or ()), dtypes=dtypes, quick=quick), keyword))
            return
        status = run(backend, ops=tuple(op or ()), dtypes=dtypes, quick=quick, replay=tuple(case or ()), mode=mode,
                     keyword=keyword, first=first, workers=workers, json=json, console=console)
    except BackendError as why:
        refuse("conform", why)
    raise typer.Exit(status)


@app.command()
def derive(
    ids: Annotated[list[str] | None, typer.Argument(help="which derivations; all of them without one")] = None,
    check: Annotated[bool, typer.Option("--check", help="make them again and compare with the files")] = False,
    out: Annotated[Path | None, typer.Option(help="write into this folder instead of spec/derived")] = None,
) -> None:
    """Regenerate the symbolic derivations, or check that they still hold."""
    from .spec.derive import command

    chosen = tuple(ids) if ids else None
    with progress_bar("deriving") as advance:
        try:
            report = command.check(chosen, out, advance) if check else command.derive(chosen, out, advance)
        except command.UnknownDerivation as why:
            refuse("derive", why)
    console.print(report.text(), markup=False, soft_wrap=True)
    raise typer.Exit(report.status)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, nothing elsewhere; yields `advance(name, done, all)`."""
    bar = Progress(TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"),
                   console=errors, transient=True, disable=not errors.is_terminal)
    task = bar.add_task("", total=None)
    with bar:
        yield lambda name, done, total: bar.update(task, completed=done, total=total, description=name)


@app.command()
def show(
    id: Annotated[str | None, typer.Argument(help="an id such as bp.delta.rec")] = None,
    readings: Annotated[bool, typer.Option("--readings", help="every formula that can be read in two ways")] = False,
) -> None:
    """Show everything about one equation: print, readings, derivation, reference, kernel, traps, numbers."""
    from . import spec
    from .book.sources import kernel_source, reference_source
    from .spec import show as pages

    with suppress(ModuleNotFoundError):              # the proofs of findings that need the reference, or torch
        from .conformance.proofs import findings, findings_torch  # noqa: F401

    if readings or id is None:
        if not readings:
            refuse("show", "name an id, such as bp.delta.rec, or give --readings")
        console.print(pages.readings())
        return
    try:
        console.print(pages.page(id, reference=reference_source(id), kernel=kernel_source(id)))
    except spec.UnknownId as why:
        refuse("show", why.args[0])


@app.command()
def book(
    out: Annotated[Path, typer.Option("-o", "--out", help="the folder to write")] = Path("build/book"),
) -> None:
    """Write the book: one page per equation, offline, the same bytes every time."""
    try:
        from .book.build import build
    except ModuleNotFoundError as missing:
        refuse("book", f'{missing.name} is not installed; pip install "chainrule[book]" brings it')
    with progress_bar("writing") as advance:
        wrote = build(out, advance)
    console.print(f"{wrote.pages} pages, {wrote.size / 1e6:.1f} MB: {out / 'index.html'}", markup=False, soft_wrap=True)


@app.command()
def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="leave out the simulator's feature table")] = False,
) -> None:
    """Say what is installed, where kernels would run, and whether this Triton is accepted."""
    from .conformance.doctor import lines

    for subject, finding in lines(simulator=not quick):
        console.print(f"{subject:10} {finding}", markup=False, soft_wrap=True)


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
