"""The reference: what must hold of every formula, what it refuses, and that it needs nothing but Python."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import chainrule
from chainrule import reference
from chainrule.conformance.mutate.reference_checks import CHECKS, refused, witnessed

SRC = Path(chainrule.__file__).parent.parent
OWN = [check for check in CHECKS if getattr(check, "func", None) is not witnessed]


def name(check):
    return check.args[0].sentence if getattr(check, "func", None) is refused else check.__name__


@pytest.mark.parametrize("check", OWN, ids=name)
def test_holds(check):
    check(reference)


def bare_python(*arguments):
    """This interpreter without site-packages, as a fresh machine has it."""
    environment = {**os.environ, "PYTHONPATH": str(SRC), "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-S", *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_reference_needs_the_standard_library_alone():
    program = ("import sys, chainrule.reference; "
               "print({name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))")
    loaded = eval(bare_python("-c", program))
    assert {module for module in loaded if not module.startswith("_")} == {"chainrule"}


def test_no_other_part_of_the_product_is_loaded():
    program = "import sys, chainrule.reference; print([name for name in sys.modules if name.startswith('chainrule.')])"
    loaded = eval(bare_python("-c", program))
    assert all(name == "chainrule.scalar" or name.startswith("chainrule.reference") for name in loaded)


def test_the_worked_examples_are_printed():
    printed = bare_python("-m", "chainrule.reference")
    assert "θ ∗ x = [2, 1, 1]" in printed
    for row in ("4 3 4", "2 4 3", "2 3 4"):
        assert f"{row}\n" in printed
    assert "81,194 parameters" in printed
    assert "learns the wrong class" in printed
    assert all(len(line) <= 110 for line in printed.splitlines())
    assert f"{len(reference.FUNCTIONS)} ids" in printed


def test_one_function_per_id():
    with pytest.raises(ValueError, match="conv1d has this id already, so len needs one of its own"):
        reference.implements("conv1d.valid")(len)
