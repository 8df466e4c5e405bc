"""`chainrule conform`: one run of the suite through pytest, with our own reporter."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from . import plugin
from .backend import BackendError
from .console import Reporter
from .report.page import write
from .results import Results
from .selection import Selection, ours, select

RESULTS = Path("build/conformance/results.jsonl")
RESTARTS = 30                # processes that may die before a run gives up
PATIENCE = 300.0             # seconds that somebody else's function has for one case
MANY = 500                   # simulated cases that are worth a process more, where one is not asked for;
PLAIN = 2000                 # and cases of plain functions
UNDEFINED = ("poison", "zero", "report")


def conform(target: str | None, *, ops: tuple[str, ...] = (), dtypes: tuple[str, ...] = (), quick: bool = False,
            replay: tuple[str, ...] = (), mode: str = "auto", keyword: str = "", first: bool = False,
            levels: bool = False, field: bool = False, undefined: str = "", xfail: str = "", fuzz: int | None = None,
            seed: int | None = None, workers: int | None = None, timeout: float | None = None, json: Path | None = None,
            console: Console | None = None) -> int:
    """Judge a backend; the exit code. Raises BackendError for a run that cannot be started.

    Functions that are not ours run in a process of their own (`workers`), so that one that dies or never returns
    fails its case, and the others go on. A long run without a GPU takes every core, unless `workers` is given.
    """
    if workers is not None and workers < 0:
        raise BackendError(f"-n {workers}: a number of processes is 0 (this one) or more")
    if undefined not in ("", *UNDEFINED):
        raise BackendError(f"--undefined {undefined}: undefined lanes are {', '.join(UNDEFINED)}")
    if timeout is not None and timeout <= 0:
        raise BackendError(f"--timeout {timeout:g}: a time is more than 0 seconds")
    random = drawing(fuzz, seed, **{"--quick": quick, "--levels": levels, "--field": field, "--case": bool(replay)})
    chosen = select(target, ops=ops, dtypes=dtypes, quick=quick, replay=replay, mode=mode, keyword=keyword,
                    levels=levels, exactly=field, undefined=undefined, xfail=xfail, **random)
    needed = timeout is not None or not ours(target, ops)
    apart = workers if workers is not None else _processes(chosen, needed=needed)
    patience = timeout if timeout is not None else PATIENCE if apart else None
    path = (json or RESULTS).absolute()
    console = console or Console(highlight=False)
    with alone_in(path):
        replaced = path.exists()
        results = Results(chosen.backend.name, chosen.mode, len(chosen.cases), path,
                          arithmetic=chosen.backend.arithmetic, readings=chosen.backend.readings)
        reporter = Reporter(chosen, results, console, patience)
        arguments = ["--pyargs", "chainrule.conformance.suite", "-c", os.devnull, "--rootdir", str(Path.cwd()),
                     "-p", plugin.__name__, "-p", "no:cacheprovider", "-p", "no:benchmark",
                     "-p", "no:unraisableexception", "-q",           # which collects garbage five times at the end
                     f"--junitxml={path.with_name('junit.xml')}", "-o", "junit_logging=no", "-o",
                     "junit_family=xunit1", *_options(target, ops, dtypes, quick, replay, mode, keyword)]
        arguments += ["--chainrule-levels"] if levels else []
        arguments += ["--chainrule-field"] if field else []
        arguments += [f"--chainrule-xfail={xfail}"] if xfail else []
        arguments += [f"--chainrule-undefined={undefined}"] if undefined else []
        arguments += [f"--chainrule-{name}={value}" for name, value in random.items()]
        arguments += ["-x"] if first else []
        arguments += ["-n", str(apart), f"--max-worker-restart={RESTARTS}"] if apart else []
        if patience:
            arguments += [f"--timeout={patience}", f"--timeout-method={'thread' if apart else 'signal'}"]
        if not chosen.cases:
            results.write()
            reporter.close()
            return results.exit_code()
        status = pytest.main(arguments, plugins=[reporter])
        if replaced:
            console.print(f"[dim]{path.name} of an earlier run was replaced[/]", highlight=False)
        reporter.close()
    if status in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR):
        return 1
    page = write([path], path.with_suffix(".html") if json else path.with_name("index.html"))
    console.print(f"[dim]report:  {page}[/]", highlight=False, soft_wrap=True)
    return results.exit_code()


def drawing(fuzz: int | None, seed: int | None, **others: bool) -> dict[str, int]:
    """What `select` is told of --fuzz and --seed: nothing where neither is given."""
    if fuzz is None and seed is not None:
        raise BackendError(f"--seed {seed}: it is --fuzz that draws from a seed; say how many cases, as in --fuzz 500")
    if fuzz is None:
        return {}
    besides = [name for name, given in others.items() if given]
    if fuzz < 1 or (seed or 0) < 0:
        raise BackendError(f"--fuzz {fuzz} --seed {seed or 0}: a number of cases is 1 or more, a seed 0 or more")
    if besides:
        raise BackendError(f"--fuzz draws its own cases; leave out {besides[0]}; -k, --op, --dtype restrict it")
    return {"fuzz": fuzz, "seed": seed or 0}


def _processes(chosen: Selection, *, needed: bool) -> int:
    """How many processes judge: one more for so many cases, as far as there are cores; 0 is this one alone."""
    cores = len(os.sched_getaffinity(0))
    worth = PLAIN if chosen.mode == "host" else MANY
    several = 1 if chosen.mode == "native" else min(cores, 1 + len(chosen.cases) // worth)
    return several if several > 1 or needed else 0


@contextmanager
def alone_in(path: Path) -> Iterator[None]:
    """The result's folder, made and writable, and no other run's while this one lasts."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        with tempfile.NamedTemporaryFile(dir=path.parent):
            pass
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        why = "its folder is a file" if isinstance(error, FileExistsError) else error.strerror
        raise BackendError(f"--json {path}: results cannot be written there ({why}); name another file") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BackendError(f"another run is writing to {path.parent}; name another file with --json") from None
    finally:
        os.close(folder)


def _options(target: str | None, ops: tuple[str, ...], dtypes: tuple[str, ...], quick: bool,
             replay: tuple[str, ...], mode: str, keyword: str) -> list[str]:
    """The same selection for pytest's workers."""
    options = [f"--chainrule-mode={mode}", f"--chainrule-keyword={keyword}", *(f"--chainrule-op={one}" for one in ops),
               *(f"--chainrule-case={one}" for one in replay)]
    if target is not None:
        options.append(f"--chainrule-backend={target}")
    if dtypes:
        options.append(f"--chainrule-dtype={','.join(dtypes)}")
    if quick:
        options.append("--chainrule-quick")
    return options
