"""The pytest plugin: names the backend, the cases and the result file. Imports no torch until a case runs.

    pytest --pyargs chainrule.conformance.suite --chainrule-backend mypkg:backend -k conv2d
"""

from __future__ import annotations

from typing import Any

import pytest

OPTIONS = (
    ("--chainrule-backend", {"metavar": "NAME", "default": None,
                             "help": "the backend to judge: triton, torch, an entry point, or module:attribute"}),
    ("--chainrule-op", {"metavar": "ID=MODULE:FUNCTION", "action": "append", "default": [],
                        "help": "judge this function as op ID; may be given again"}),
    ("--chainrule-dtype", {"metavar": "DTYPES", "default": "", "help": "comma-separated: fp32,fp16,bf16"}),
    ("--chainrule-mode", {"choices": ("auto", "simulated", "native"), "default": "auto",
                          "help": "where the kernels run; auto takes the GPU if there is one"}),
    ("--chainrule-quick", {"action": "store_true", "help": "one case per op, tier and dtype"}),
    ("--chainrule-levels", {"action": "store_true", "help": "every level of every factor, but not every pair"}),
    ("--chainrule-field", {"action": "store_true", "help": "the cases over the exact field alone"}),
    ("--chainrule-xfail", {"metavar": "FILE", "default": "", "help": "failures that are known, with reasons (TOML)"}),
    ("--chainrule-keyword", {"metavar": "EXPRESSION", "default": "",
                             "help": "only cases whose id matches, as with -k"}),
    ("--chainrule-case", {"metavar": "ID", "action": "append", "default": [], "help": "replay this case"}),
    ("--chainrule-undefined", {"choices": ("", "poison", "zero", "report"), "default": "",
                               "help": "what lanes hold that a mask turns off and no `other` fills"}),
    ("--chainrule-fuzz", {"metavar": "N", "type": int, "default": 0, "help": "so many cases drawn at random instead"}),
    ("--chainrule-seed", {"metavar": "S", "type": int, "default": 0, "help": "what --chainrule-fuzz draws from"}),
    ("--chainrule-json", {"metavar": "FILE", "default": None, "help": "write one JSON record per case"}),
    ("--deck", {"metavar": "FILE", "default": None, "help": "the deck's text, to find each printed formula in it"}),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chainrule")
    for name, settings in OPTIONS:
        group.addoption(name, **settings)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--chainrule-json") and not hasattr(config, "workerinput"):
        from .results import Results

        config.pluginmanager.register(Recorder(Results.for_config(config)), "chainrule-recorder")


class Recorder:
    """Collects the verdict of every item, also from workers, and writes the result file at the end."""

    def __init__(self, results: Any) -> None:
        self.results = results

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        record = dict(report.user_properties).get("chainrule")
        if record is not None and report.when == "call":
            self.results.add(record)
        elif report.failed:
            self.results.broken += 1

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Ctrl-C; what stops a run at its first failure is a kind of interrupt, too."""
        if excinfo.type in (KeyboardInterrupt, pytest.exit.Exception):
            self.results.ended = "interrupted"

    def pytest_sessionfinish(self) -> None:
        self.results.write()
