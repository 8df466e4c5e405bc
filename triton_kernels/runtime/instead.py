"""What no kernel takes, and who computes it then: torch's own function of the same name, with the same arguments.

A check raises a `Refusal`. A public function of training code lets torch try what was refused: where torch runs, that
is a fallback, said once, and an error under CHAINRULE_STRICT=1; where torch refuses too, the check's sentence stands.
A tensor subclass that overrides torch's functions (a tracer's proxy, say) takes ours as it takes torch's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from torch.compiler import is_compiling
from torch.overrides import handle_torch_function, has_torch_function

from .launch import fall_back, strict
from .refusals import Refusal

P = ParamSpec("P")
R = TypeVar("R")


def or_torch(theirs: Callable[..., Any] | None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """What our function refuses is `theirs` to try; without one it is an error."""

    def decorate(ours: Callable[P, R]) -> Callable[P, R]:
        @wraps(ours)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return ours(*args, **kwargs)
            except Refusal as refusal:
                refused = refusal
            found: R = _instead(run, theirs, refused, args, kwargs)
            return found

        return run

    return decorate


def _instead(
    ours: Callable[..., Any], theirs: Callable[..., Any] | None, refusal: Refusal, args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    if not is_compiling():
        # a proxy is no tensor, but has torch's way of being asked
        given = tuple(one for one in (*args, *kwargs.values()) if hasattr(type(one), "__torch_function__"))
        if has_torch_function(given):
            return handle_torch_function(ours, given, *args, **kwargs)
    error = TypeError if isinstance(refusal, TypeError) else ValueError
    if theirs is None:
        raise error(str(refusal)) from None
    if strict():
        fall_back(str(refusal))
    try:
        found = theirs(*args, **kwargs)
    except Exception:
        raise error(str(refusal)) from None
    if not is_compiling():
        fall_back(str(refusal), "torch's own function runs", kind=re.sub(r"(?<!\w)\d[\d, ]*", "", str(refusal)))
    return found


def dropping(theirs: Callable[..., Any], *options: str) -> Callable[..., Any]:
    """torch's function, told nothing of options that only ours has."""

    @wraps(theirs)
    def run(*args: Any, **kwargs: Any) -> Any:
        return theirs(*args, **{key: value for key, value in kwargs.items() if key not in options})

    return run
