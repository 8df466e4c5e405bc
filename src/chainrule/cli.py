"""The front door: `chainrule conform`, `derive`, `show`, `book`, `doctor`.

Exit codes: 0 pass · 1 a check failed · 2 bad usage · 3 nothing was checked · 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from . import readable, write_whole

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="A lecture deck on neural networks and backpropagation, made executable.")


class Piped(Console):
    """A console whose reader may leave: what is under way ends as it would have, and says nothing more."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


console = Piped(highlight=False)
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
    levels: Annotated[bool, typer.Option("--levels", help="every level of every factor, not every pair")] = False,
    field: Annotated[bool, typer.Option("--field", help="Triton kernels over the exact field GF(2^61 - 1): equal to "
                                        "their equations, rounding aside (in the simulator)")] = False,
    xfail: Annotated[str, typer.Option(metavar="FILE", help="known failures in TOML, by case and reason; one that "
                                       "passes fails")] = "",
    fuzz: Annotated[int | None, typer.Option(metavar="N", help="judge N cases drawn at random instead: sizes between "
                                             "the levels, levels that never met, other data")] = None,
    seed: Annotated[int | None, typer.Option(metavar="S", help="what --fuzz draws from (0)")] = None,
    case: Annotated[list[str] | None, typer.Option(help="replay one case by its id (repeatable)")] = None,
    keywords: Annotated[list[str] | None,
                        typer.Option("-k", help="only cases whose id matches, as in pytest -k")] = None,
    first: Annotated[bool, typer.Option("-x", help="stop at the first failure")] = False,
    workers: Annotated[int | None, typer.Option("-n", help="judge in this many processes; 0 is this one "
                                                "(all cores for a long run without a GPU; at least 1 for functions "
                                                "that are not ours)")] = None,
    timeout: Annotated[float | None, typer.Option(help="seconds a case may take (300, where processes are)")] = None,
    simulate: Annotated[bool | None, typer.Option("--simulate/--native", help="where kernels run; without either, "
                                                  "on the GPU if there is one, else in the simulator")] = None,
    undefined: Annotated[str, typer.Option(
        help="lanes that a mask turns off and no `other` fills: poison, zero, or report (poison for our kernels, "
             "report for others)")] = "",
    json: Annotated[Path | None, typer.Option(help="result file (build/conformance/results.jsonl)")] = None,
    list_: Annotated[bool, typer.Option("--list", help="show what would be judged (with -k: the cases)")] = False,
    coverage: Annotated[bool, typer.Option("--coverage", help="with --list: which pairs of levels it covers")] = False,
) -> None:
    """Judge kernels against the reference."""
    try:
        from .conformance.backend import BackendError
        from .conformance.command import conform as run
        from .conformance.command import drawing
        from .conformance.listing import coverage as covering
        from .conformance.listing import listing
        from .conformance.selection import select
    except ModuleNotFoundError as missing:
        refuse("conform", f'{missing.name} is not installed; pip install "chainrule[conformance]" brings it')
    if keywords and len(keywords) > 1:
        refuse("conform", f"-k was given {len(keywords)} times; write one expression: "
                          f"-k '{' or '.join(f'({one})' for one in keywords)}' for cases that match one of them")
    keyword = (keywords or [""])[0]
    dtypes = tuple(d.strip() for d in dtype.split(",") if d.strip())
    mode = "auto" if simulate is None else "simulated" if simulate else "native"
    try:
        if list_ or coverage:
            random = drawing(fuzz, seed, **{"--quick": quick, "--levels": levels, "--field": field})
            chosen = select(backend, ops=tuple(op or ()), dtypes=dtypes, quick=quick, keyword=keyword, levels=levels,
                            exactly=field, xfail=xfail, **random)
            console.print(covering(chosen) if coverage else listing(chosen, keyword), soft_wrap=not coverage)
            return
        status = run(backend, ops=tuple(op or ()), dtypes=dtypes, quick=quick, replay=tuple(case or ()), mode=mode,
                     keyword=keyword, levels=levels, field=field, undefined=undefined, xfail=xfail, fuzz=fuzz,
                     seed=seed, first=first, workers=workers, timeout=timeout, json=json, console=console)
    except BackendError as why:
        refuse("conform", why)
    except KeyboardInterrupt:
        errors.print("chainrule conform: interrupted before anything was judged", markup=False)
        status = 130
    if status == 130:
        exec("pass")       # an interrupt that came through an exec or eval is forgotten by the next one alone; else
    raise typer.Exit(status)                    # `python -m` would end by the signal and not with this code


@app.command()
def statement(
    results: Annotated[Path, typer.Argument(help="results.jsonl of a run")],
    badge: Annotated[Path | None, typer.Option(metavar="FILE", help="write a badge, too: JSON that Shields' endpoint "
                                               "reads")] = None,
) -> None:
    """Say what a run has shown, in one paragraph that stands alone."""
    from .conformance.report.difference import Unreadable, result_of
    from .conformance.report.statement import badge as badged
    from .conformance.report.statement import statement as said

    try:
        run = result_of(results)
        if badge is not None:
            write_whole(badge, badged(run))
    except Unreadable as why:
        refuse("statement", why)
    except OSError as why:
        refuse("statement", f"--badge {badge} cannot be written ({why.strerror}); name another file")
    console.print(said(run), markup=False, soft_wrap=True)


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(help="results.jsonl of an earlier run")],
    after: Annotated[Path, typer.Argument(help="results.jsonl of a later one")],
) -> None:
    """Compare two runs: lost cases, new failures, an op whose worst fraction has doubled."""
    from .conformance.report.difference import Unreadable, difference, result_of

    try:
        found = difference(result_of(before), result_of(after))
    except Unreadable as why:
        refuse("diff", why)
    for line in found.lines():
        console.print(line, markup=False, soft_wrap=True)
    raise typer.Exit(found.status)


@app.command()
def derive(
    ids: Annotated[list[str] | None, typer.Argument(
        help="which derivations; all of them without one. Yours: module:chapters, or my.toml, first")] = None,
    check: Annotated[bool, typer.Option("--check", help="make them again and compare with the files")] = False,
    out: Annotated[Path | None, typer.Option(help="write into this folder instead of spec/derived")] = None,
) -> None:
    """Regenerate the symbolic derivations, or check that they still hold; your own equations' too."""
    from .spec import SpecError
    from .spec.derive import command

    doors = [name for name in ids or () if ":" in name or name.endswith(".toml")]
    chosen = tuple(name for name in ids or () if name not in doors) or None
    if doors and out is None:
        refuse("derive", f"{doors[0]} has no folder of its own; name one with --out DIR")
    with progress_bar("deriving") as advance:
        try:
            with command.at_door(doors[0] if doors else None) as chapters:
                act = command.check if check else command.derive
                report = act(chosen, out, advance, chapters)
        except (command.UnknownDerivation, SpecError) as why:
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
    id: Annotated[str | None, typer.Argument(help="an id such as bp.delta.rec, or a finding such as E05")] = None,
    list_: Annotated[bool, typer.Option("--list", help="every id, by chapter; with a word, those with it")] = False,
    readings: Annotated[bool, typer.Option("--readings", help="every formula that can be read in two ways")] = False,
    from_: Annotated[str | None, typer.Option("--from", help="your own records: my.toml, or module:chapters")] = None,
    json: Annotated[bool, typer.Option("--json", help="the derivation as data")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="the derivation's steps, aligned")] = False,
    md: Annotated[bool, typer.Option("--md", help="the derivation's page in Markdown")] = False,
    jvp: Annotated[bool, typer.Option("--jvp", help="how fast the output moves along a direction")] = False,
    hvp: Annotated[bool, typer.Option("--hvp", help="how fast the gradient does: the Hessian times it")] = False,
    code: Annotated[str | None, typer.Option(help="the derived function in torch, jax or c")] = None,
    html: Annotated[bool, typer.Option("--html", help="the derivation as a page of its own")] = False,
) -> None:
    """Show everything about one equation: print, readings, derivation, reference, kernel, traps, numbers."""
    from . import spec
    from .book.sources import kernel_source, reference_source
    from .spec import show as pages

    with suppress(ModuleNotFoundError):              # the proofs of findings that need the reference, or torch
        from .conformance.proofs import findings, findings_claims, findings_torch  # noqa: F401

    width = max(40, min(console.width, 100))
    try:
        if list_ or readings:
            console.print(pages.listing(id or "", width) if list_ else pages.readings(width))
        elif id is None:
            refuse("show", "name an id, such as bp.delta.rec; --list has them all")
        elif code is not None:
            print_code(id, code, from_)
        elif from_ is not None:
            show_own(id, from_, width, which_way(json=json, latex=latex, md=md, jvp=jvp, hvp=hvp, html=html))
        elif way := which_way(json=json, latex=latex, md=md, jvp=jvp, hvp=hvp, html=html):
            print_derivation(spec.derivation_page(id), way, width)
        else:
            console.print(pages.page(id, reference=reference_source(id), kernel=kernel_source(id), width=width))
    except (spec.UnknownId, spec.NotDerived, spec.SpecError) as why:
        refuse("show", why)


def which_way(**asked: bool) -> str:
    """The way that was asked for, the first of several; empty if none."""
    return next((way for way, wanted in asked.items() if wanted), "")


def print_code(id: str, language: str, door: str | None) -> None:
    """The derived function in another language, the derivation made here and now."""
    from .spec.derive import command
    from .spec.derive.languages import code

    try:
        with command.at_door(door) as chapters:
            console.print(code(command.make(id, chapters), language), markup=False, soft_wrap=True)
    except (command.UnknownDerivation, ValueError) as why:
        refuse("show", why)


def print_page(page: str) -> None:
    """A derivation as an HTML page of its own."""
    try:
        from .book.derivations import standalone
    except ModuleNotFoundError as missing:
        refuse("show", f'{missing.name} is not installed; pip install "chainrule[book]" brings it')
    console.print(standalone(page), markup=False, soft_wrap=True)


def print_derivation(page: str, way: str, width: int) -> None:
    """A derivation's page as it is, as JSON, as one aligned formula, or what it says of a direction."""
    from json import dumps

    from .spec.page import read
    from .spec.show import along

    if way in ("jvp", "hvp"):
        console.print(along(page, way, width))
        return
    if way == "html":
        print_page(page)
        return
    text = {"json": lambda: dumps(read(page).json(), ensure_ascii=False, indent=1), "latex": lambda: read(page).latex(),
            "md": lambda: page}[way]()
    console.print(text, markup=False, soft_wrap=True)


def show_own(id: str, door: str, width: int, way: str) -> None:
    """A page of somebody's own equation, its derivation made here and now."""
    from .spec import get
    from .spec import show as pages
    from .spec.derive import command

    with command.at_door(door) as chapters:
        made = {id: command.page_of(id, chapters)} if id in chapters.makers else {}
        if made and way:
            print_derivation(made[id], way, width)
            return
        if not made:
            get(id)
        with pages.with_pages(made):
            console.print(pages.page(id, width=width))


@app.command()
def book(
    out: Annotated[Path, typer.Option("-o", "--out", help="the folder to write")] = Path("build/book"),
    live: Annotated[Path | None, typer.Option(metavar="PYODIDE", help="the npm package pyodide, unpacked: then the "
                                              "pages compute, offline too")] = None,
) -> None:
    """Write the book: one page per equation, offline, the same bytes every time."""
    if live is not None and not (live / "pyodide.asm.wasm").is_file():
        refuse("book", f"no Pyodide in {live}; `npm install pyodide@314.0.7` puts it into node_modules/pyodide")
    try:
        from .book.build import build
    except ModuleNotFoundError as missing:
        refuse("book", f'{missing.name} is not installed; pip install "chainrule[book]" brings it')
    with progress_bar("writing") as advance:
        wrote = build(out, advance, pyodide=live)
    console.print(f"{wrote.pages} pages, {wrote.size / 1e6:.1f} MB: {out / 'index.html'}", markup=False, soft_wrap=True)


@app.command()
def new(
    id: Annotated[str, typer.Argument(help="the new equation's id, as act.swish")],
    form: Annotated[str, typer.Argument(help='its machine form, as "x/(1 + exp(-x))"')],
    by: Annotated[str, typer.Option(help="by what: a loss by its prediction, all else by the first name")] = "",
) -> None:
    """Begin an equation: write the skeletons of its records, its reference function and its witness."""
    from .conformance.proofs.links import files_of
    from .spec import new as skeletons

    try:
        written = skeletons.skeletons(id, form, files_of(id), by)
        changed = skeletons.write(written)
    except skeletons.NotNew as why:
        refuse("new", why)
    for name in changed:
        console.print(f"{name}: look for TO WRITE", markup=False)
    gradient = skeletons.ids(written[changed[0]])[-1]
    console.print(f'then: chainrule derive {gradient}, and pytest -k "links or {id}" says what is missing',
                  markup=False, soft_wrap=True)


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
    readable()
    app()


if __name__ == "__main__":
    main()
