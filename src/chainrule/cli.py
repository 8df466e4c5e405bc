"""The front door: `chainrule conform`, `derive`, `show`, `doctor`.

Exit codes: 0 pass · 1 a check failed · 2 bad usage · 3 nothing was checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

app = typer.Typer(no_args_is_help=True, invoke_without_command=False, add_completion=False, pretty_exceptions_enable=False,
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
    backend: Annotated[str | None, typer.Argument(help="triton (the default), torch, or your own module:attribute")] = None,
    op: Annotated[list[str] | None, typer.Option(help="judge one function: ID=module:function (repeatable)")] = None,
    dtype: Annotated[str, typer.Option(help="comma-separated: fp32,fp16,bf16")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="one case per op, tier and dtype")] = False,
    case: Annotated[list[str] | None, typer.Option(help="replay one case by its id (repeatable)")] = None,
    keyword: Annotated[str, typer.Option("-k", help="only cases whose id matches, as in pytest -k")] = "",
    first: Annotated[bool, typer.Option("-x", help="stop at the first failure")] = False,
    workers: Annotated[int, typer.Option("-n", help="judge in this many processes")] = 0,
    simulate: Annotated[bool, typer.Option("--simulate/--native", help="where kernels run; without either, on the "
                                           "GPU if there is one, else in the simulator")] = None,  # type: ignore[assignment]
    json: Annotated[Path | None, typer.Option(help="the result file", show_default="build/conformance/results.jsonl")] = None,
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


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
