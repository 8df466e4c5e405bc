"""What torch's namespaces have and ours lack is torch's own there, so that a script changes its imports and no name.

What only holds or places other things (Module, Sequential, schedulers, …) is torch's by design. What computes is a
fallback: said once, and with CHAINRULE_STRICT=1 refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .launch import fall_back

STRUCTURE = frozenset((
    "Buffer", "Flatten", "Identity", "Module", "ModuleDict", "ModuleList", "Parameter", "ParameterDict",
    "ParameterList", "Sequential", "UninitializedBuffer",
    "UninitializedParameter", "Unflatten", "factory_kwargs", "init", "modules",
    "parallel", "parameter", "utils", "Optimizer", "lr_scheduler", "swa_utils",
))


def torchs(ours: str, theirs: Any) -> Callable[[str], Any]:
    """A module's `__getattr__`: torch's attribute of that name."""

    def attribute(name: str) -> Any:
        found = None if name.startswith("_") else getattr(theirs, name, None)
        if found is None:
            raise AttributeError(f"chainrule.triton_kernels.{ours} has no {name}, and neither has {theirs.__name__}")
        if name not in STRUCTURE:
            fall_back(f"{ours}.{name}: there is no kernel", f"{theirs.__name__}'s own stands there")
        return found

    return attribute


def listed(own: dict[str, Any], theirs: Any) -> Callable[[], list[str]]:
    """A module's `__dir__`: every name that can be imported from it, ours and torch's."""

    def names() -> list[str]:
        return sorted({*own, *(name for name in dir(theirs) if not name.startswith("_"))})

    return names
