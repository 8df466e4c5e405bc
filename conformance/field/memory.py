"""What elements stand in memory, by address; what a simulation in the exact field needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import algebra as A
from . import constants
from .elements import FUNCTIONS, Exact, Unseen, chosen, plain

Array = NDArray[Any]

_PAGE, _GRAIN = 16, 1                  # pages of 2¹⁶ bytes, an entry for every two
_NOBODY = 5                            # a salt


class _Page:
    """The elements of a page, and the floats that they were stored with."""

    def __init__(self) -> None:
        size = 1 << (_PAGE - _GRAIN)
        self.v, self.w, self.value = np.zeros(size, np.uint64), np.zeros(size, np.uint64), np.zeros(size)
        self.antilog = np.ones(size, np.uint64)
        self.known = np.zeros(size, bool)

    @property
    def tables(self) -> tuple[Array, ...]:
        return self.value, self.v, self.w, self.antilog, self.known

    def put(self, places: Any, value: Any, v: Any, w: Any, antilog: Any = 1) -> None:
        self.value[places], self.v[places], self.w[places], self.known[places] = value, v, w, True
        self.antilog[places] = antilog


class Memory:
    """The elements that kernels have stored. A float that torch has written since stands for itself, as data do.

    `whole`: device functions, by their source, that are taken as the elementary function of this name.
    """

    def __init__(self, whole: Mapping[str, str] | None = None) -> None:
        self.pages: dict[int, _Page] = {}
        self.whole = dict(whole or {})
        self.opaque = ""                   # what a kernel did with a float that the field cannot follow
        self.inputs: list[tuple[int, int]] = []
        self.foreign = ""                  # the same of what is no kernel

    def loaded(self, pointers: Array, values: Array, on: Array | None = None) -> Exact:
        """What stands at these addresses, where the load is on; elsewhere 0."""
        floats = values.astype(np.float64).reshape(-1)
        v, w, antilog = (np.full(floats.shape, n, np.uint64) for n in (0, 0, 1))
        for page, lanes, places in self._pages(pointers, on):
            here, mine = self.pages.setdefault(page, _Page()), floats[lanes]
            new = ~(here.known[places] & ((here.value[places] == mine) | np.isnan(mine)))
            if new.any():
                self._meet(pointers.reshape(-1)[lanes[new]])
                here.put(places[new], mine[new], *constants.of(mine[new]))
            v[lanes], w[lanes], antilog[lanes] = here.v[places], here.w[places], here.antilog[places]
        shape = pointers.shape
        logarithms = antilog.reshape(shape) if (antilog != 1).any() else None
        return Exact(values, v.reshape(shape), w.reshape(shape), logarithms)

    def _meet(self, addresses: Array) -> None:
        """Floats that no kernel has stored: an input, or what torch has computed."""
        given = np.zeros(addresses.shape, bool)
        for lo, hi in self.inputs:
            given |= (addresses >= np.uint64(lo)) & (addresses < np.uint64(hi))
        if not given.all():
            self.foreign = "uses numbers that torch has computed"

    def store(self, pointers: Array, numbers: Any, on: Array | None) -> list[tuple[Array, Array, Array]]:
        """Keep the elements; what was written to, where, and what stood there."""
        x, before = Exact.of(numbers), []
        own = np.ones((), np.uint64) if x.antilog is None or x.base2 else x.antilog
        v, w, antilog = (np.broadcast_to(one, pointers.shape).reshape(-1) for one in (x.v, x.w, own))
        floats = np.broadcast_to(x.value, pointers.shape).reshape(-1).astype(np.float64)
        for page, lanes, places in self._pages(pointers, on):
            here = self.pages.setdefault(page, _Page())
            before += [(table, places, table[places]) for table in here.tables]
            here.put(places, floats[lanes], v[lanes], w[lanes], antilog[lanes])
        return before

    def _pages(self, pointers: Array, on: Array | None) -> Any:
        """(page, which lanes lie in it, their places in it)."""
        lanes = np.arange(pointers.size) if on is None else np.flatnonzero(on)
        addresses = pointers.reshape(-1)[lanes]
        pages = addresses >> np.uint64(_PAGE)
        for page in np.unique(pages):
            mine = np.flatnonzero(pages == page)
            places = (addresses[mine] & np.uint64((1 << _PAGE) - 1)) >> np.uint64(_GRAIN)
            yield int(page), lanes[mine], places.astype(np.int64)

    def of(self, tensor: Any) -> Exact:
        """The elements of a tensor."""
        index = np.zeros(tuple(tensor.shape), np.int64)
        for axis, (n, stride) in enumerate(zip(tensor.shape, tensor.stride())):
            index = index + (np.arange(n) * stride).reshape([-1 if a == axis else 1 for a in range(tensor.dim())])
        pointers = (tensor.data_ptr() + index * tensor.element_size()).astype(np.uint64)
        return self.loaded(pointers, tensor.detach().double().numpy())

    def load(self, pointers: Array, values: Array, on: Array | None, other: Any) -> Exact:
        """What a load gives; lanes that are off hold `other`, or without it an element of nobody's, so that using one
        shows."""
        if on is None:
            return self.loaded(pointers, values)
        pointers, on = (np.broadcast_to(one, values.shape) for one in (pointers, on))
        found = self.loaded(pointers, values, on)
        if other is None:
            v = A.mixed(np.arange(on.size, dtype=np.uint64).reshape(on.shape), _NOBODY)
            rest = Exact(values, v, constants.exponent(v))
        else:
            rest = Exact.of(other)
        mixed = chosen(on, found, rest)
        return Exact(values, mixed.v, mixed.w, mixed.antilog, mixed.base2)

    def function(self, name: str, x: Any) -> Any:
        """The elementary function of this name."""
        ufunc = FUNCTIONS.get(name) or getattr(np, name, None)
        if ufunc is None:
            raise Unseen(f"it has no rule for the function {name}")
        with np.errstate(all="ignore"):
            return ufunc(Exact.of(x)).astype(plain(x).dtype)
