"""Runs in the reader's browser, beside the unmodified reference: one call, one answer, as JSON."""

from __future__ import annotations

import json
from fractions import Fraction
from importlib import import_module
from typing import Any

from chainrule.reference import FUNCTIONS


def number(text: Any, exact: bool) -> Any:
    value = Fraction(str(text).replace("−", "-").replace(" ", ""))
    return (int(value) if value.denominator == 1 else value) if exact else float(value)


def value(given: Any, exact: bool) -> Any:
    if given is None:
        return None
    if isinstance(given, list):
        return [value(one, exact) for one in given]
    if isinstance(given, dict):
        return eval("lambda z: " + given["function"], {"__builtins__": {}})
    return number(given, exact)


def shown(result: Any) -> Any:
    if isinstance(result, list | tuple):
        return [shown(one) for one in result]
    return None if result is None else str(result)


def find(id: str, fault: Any = None) -> Any:
    """The function of an equation; with a fault, the same function with one thing changed."""
    if fault:
        names = dict(vars(import_module(fault["module"])))
        exec(fault["source"], names)
        return names[fault["function"]]
    if id in FUNCTIONS:
        return FUNCTIONS[id]
    name = id.replace(".", "_")
    return getattr(import_module("derived." + name), name)


def run(request: str) -> str:
    """{id, args, exact, fault} to {result} or {error}."""
    given = json.loads(request)
    try:
        function = find(given["id"], given.get("fault"))
        return json.dumps({"result": shown(function(*(value(one, given["exact"]) for one in given["args"])))})
    except Exception as why:
        return json.dumps({"error": f"{type(why).__name__}: {why}"})


def signs(request: str) -> str:
    """One neuron on x = 1, y = 1 after some steps of the deck's gradient descent, with either sign of δ."""
    from chainrule.reference.backprop import backprop, forward
    from chainrule.reference.optimizers import gd

    given = json.loads(request)
    output = FUNCTIONS[given["reading"]]
    Theta: Any = [None, [None, [0.0, 0.0]]]
    for _ in range(int(given["steps"])):
        Theta = gd(Theta, backprop(Theta, [1.0], [1.0], output=output), float(given["eta"]))
    return json.dumps({"result": f"{forward(Theta, [1.0])[1][2][1]:.6f}"})
