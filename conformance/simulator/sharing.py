"""Equal block types share their parts.

Triton builds the shape of every intermediate value anew: a tuple of constexprs, its length, its name. In a compiler
that is nothing; in an interpreter it was half of the time. The parts never change, so equal types may share them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import triton.language as tl

_FIRST = "_chainrule_first"          # in a shared block type: the parts of a tensor of that type
_parts: dict[Any, dict[str, Any]] = {}


def shared_block_type(original: Callable[..., None]) -> Callable[..., None]:
    """`block_type.__init__`, given the original."""

    def init(self: Any, element_ty: Any, shape: Any) -> None:
        key = (element_ty.name, *[s.value if isinstance(s, tl.constexpr) else s for s in shape])
        parts = _parts.get(key)
        if parts is None:
            original(self, element_ty, shape)
            _parts[key] = {**vars(self), _FIRST: {}}
        else:
            vars(self).update(parts)

    return init


def shared_tensor(original: Callable[..., None]) -> Callable[..., None]:
    """`tensor.__init__`, given the original."""

    def init(self: Any, handle: Any, type: Any) -> None:
        parts = vars(type).get(_FIRST)
        if not parts:
            original(self, handle, type)
            if parts is not None:
                parts.update({k: v for k, v in vars(self).items() if k not in ("handle", "type")})
            return
        own = vars(self)
        own.update(parts)
        own["handle"], own["type"] = handle, type

    return init
