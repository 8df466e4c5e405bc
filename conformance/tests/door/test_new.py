"""`chainrule new`: skeletons in the files where they belong, and nothing for what cannot be begun."""

import tomllib
from pathlib import Path

import pytest

from chainrule.conformance.proofs.links import files_of
from chainrule.spec import new, records


@pytest.fixture
def top(tmp_path):
    for name in files_of("act.swish"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# as before\n", encoding="utf-8")
    return tmp_path


def test_three_files_get_a_skeleton(top):
    found = new.skeletons("act.swish", "x/(1 + exp(-b*x))", files_of("act.swish"))
    assert new.write(found, top) == ["spec/activations.toml", "reference/activations.py",
                                     "conformance/witnesses/networks.py"]
    equations, _ = records.read(top / "spec" / "activations.toml")
    assert equations["act.swish"].value == "x/(1 + exp(-b*x))"
    assert (equations["act.swish.prime"].of, equations["act.swish.prime"].wrt) == ("act.swish", ("x",))
    assert list(equations["act.swish"].symbols) == ["x", "b"]
    function = (top / "reference" / "activations.py").read_text(encoding="utf-8")
    assert function.startswith("# as before\n")
    assert '@implements("act.swish")\ndef swish(x: Scalar, b: Scalar) -> Scalar:' in function
    compile(function, "activations.py", "exec")
    assert 'Witness("act.swish", (0.375, 0.375,), lambda: ...)' in (
        top / "conformance/witnesses/networks.py").read_text(encoding="utf-8")


def test_a_witness_is_a_row_of_the_list_that_its_file_ends_with(top):
    rows = top / "conformance/witnesses/networks.py"
    rows.write_text("from x import Witness\nROWS = [\n    1,\n]\n", encoding="utf-8")
    new.write(new.skeletons("act.swish", "x", files_of("act.swish")), top)
    text = rows.read_text(encoding="utf-8")
    assert text.endswith("lambda: ...),\n]\n")
    compile(text, "networks.py", "exec")


def test_an_equation_of_arrays_has_sizes_axes_and_an_index():
    """A dilated filter: what stands in an index or a range is a whole number, the others are real."""
    files = files_of("conv1d.dilated")
    found = new.skeletons("conv1d.dilated", "c*Sum(theta[j]*x[i + j*D], (j, 0, m - 1))", files)
    [one, gradient] = tomllib.loads(found[files[0]])["equation"]
    assert (set(one["arrays"]), set(one["sizes"]), set(one["index"]), set(one["symbols"])) == (
        {"theta", "x"}, {"D", "m"}, {"i"}, {"c"})
    assert (one["wrt"], gradient["id"], "symbols" in gradient) == (["c"], "conv1d.dilated.grad_c", False)
    assert "def dilated(theta: Vector, x: Vector, c: Scalar, D: int, m: int) -> Vector:" in found[files[1]]
    assert new.ids(found[files[0]]) == ["conv1d.dilated", "conv1d.dilated.grad_c"]


@pytest.mark.parametrize(("id", "form", "by", "names", "gradient", "wrt"), [
    ("loss.mine", "maximum(0, c - y*yhat)", "", ["c", "y", "yhat"], "loss.mine.delta", "yhat"),
    ("loss.mine", "Piecewise((y - z, c <= y), (z, True))", "", ["y", "z", "c"], "loss.mine.delta", "z"),
    ("act.mine", "exp(a*x) + x", "x", ["a", "x"], "act.mine.prime", "x"), ("act.mine", "a*x", "", ["a", "x"],
                                                                            "act.mine.prime", "a"),
])
def test_names_stand_as_written_and_a_loss_is_by_its_prediction(id, form, by, names, gradient, wrt, tmp_path):
    files = files_of(id)
    record = new.skeletons(id, form, files, by)[files[0]]
    (tmp_path / "mine.toml").write_text(record, encoding="utf-8")
    equations, _ = records.read(tmp_path / "mine.toml")
    assert list(equations[id].symbols) == names
    assert equations[id].wrt == equations[gradient].wrt == (wrt,)
    assert max(map(len, "".join(new.skeletons(id, form, files).values()).split("\n"))) <= 120


def test_by_what_is_not_there_is_refused():
    with pytest.raises(new.NotNew, match="has no 'q', but a, x"):
        new.skeletons("act.mine", "a*x", files_of("act.mine"), "q")


@pytest.mark.parametrize(("id", "form", "says"), [
    ("act.elu", "x", "act.elu has a record already"), ("swish", "x", "'swish' is no id"),
    ("act.swish", "x +", "is not an expression"), ("act.swish", "x.real", "not part of the language"),
    ("act.swish", "1 + 2", "has no variable"),
])
def test_what_cannot_be_begun_is_said(id, form, says):
    with pytest.raises(new.NotNew, match=says.replace(".", r"\.")):
        new.skeletons(id, form, files_of(id))


def test_without_a_clone_nothing_is_written(tmp_path):
    with pytest.raises(new.NotNew, match="works in a clone of the repository"):
        new.write(new.skeletons("act.swish", "x", files_of("act.swish")), tmp_path)
    assert list(Path(tmp_path).iterdir()) == []
