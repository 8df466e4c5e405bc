"""What went wrong in somebody else's function: which error, on which of their lines, and what was printed before."""

from __future__ import annotations

import contextlib
import inspect
import io
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .hygiene import HygieneFault
from .verdict import Verdict

FRAMES, LINES = 3, 5             # of the user's own calls, and of what was printed
OURS = str(Path(__file__).resolve().parents[2])
INSTALLED = ("site-packages", "dist-packages")


class Trouble(Exception):
    """An error of the function that is judged."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error

    @property
    def says(self) -> str:
        text = str(self.error).strip()
        return f"{type(self.error).__name__}: {text.splitlines()[0] if text else ''}"


def watched_call(verdict: Verdict, call: Callable[[], list[Any]]) -> list[Any]:
    """The result of a call; Trouble if it raises, with the user's frames and what was printed in the verdict."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return call()
    except (HygieneFault, NotImplementedError):
        raise
    except (Exception, SystemExit) as error:
        verdict.frames = frames(error)
        raise Trouble(error) from error
    finally:
        verdict.printed = "\n".join(said.getvalue().splitlines()[-LINES:])


def frames(error: BaseException) -> list[str]:
    """The last calls in the user's own files: file, line, function, source."""
    own = [f for f in traceback.extract_tb(error.__traceback__)
           if not str(Path(f.filename).resolve()).startswith(OURS) and not any(one in f.filename for one in INSTALLED)]
    return [f"{f.filename}:{f.lineno} in {f.name}: {f.line}" for f in own[-FRAMES:]]


def place_of(function: Any) -> str:
    """Where a function stands: file and line; of one that takes a kernel by its tensors, the kernel's."""
    kernel = getattr(function, "kernel", None)
    code = getattr(inspect.unwrap(kernel() if kernel else function), "__code__", None)
    return "" if code is None else f"{code.co_filename}:{code.co_firstlineno} {code.co_name}"
