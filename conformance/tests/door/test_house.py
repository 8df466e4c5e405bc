"""The house as it stands: nobody imports in a circle, and no room swells."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import chainrule

HOUSE = Path(chainrule.__file__).parent


def modules(house: Path) -> dict[str, Path]:
    """Every module of ours by its dotted name, tests left out."""
    files = [file for room in sorted(house.iterdir()) if room.is_dir() for file in sorted(room.resolve().rglob("*.py"))]
    named = {file: (house.name, *file.relative_to(room.resolve().parent).with_suffix("").parts)
             for room in house.iterdir() if room.is_dir() for file in files if room.resolve() in file.parents}
    return {".".join(parts): file for file, parts in named.items() if "tests" not in parts and "derived" not in parts}


def imports(name: str, file: Path, known: dict[str, Path]) -> set[str]:
    """The modules of ours that a module imports, wherever in it the import stands, but for the type checker's. A
    package stands for what its `__init__` imports, not for what lies in its folder."""
    package = name.split(".")[:-1]
    found: set[str] = set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    typing = {inner for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
              for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in typing:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            whole = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            inside = {f"{whole}.{alias.name}" for alias in node.names}
            found |= {one for one in inside if one in known or f"{one}.__init__" in known}
            if not inside <= found:
                found.add(whole)
    return {one if one in known else f"{one}.__init__" for one in found} & set(known) - {name}


def circle(house: Path) -> list[str]:
    """Modules that import each other in a circle, first and last the same; empty where there is none."""
    known = modules(house)
    graph = {name: imports(name, file, known) for name, file in known.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_nobody_imports_in_a_circle():
    assert circle(HOUSE) == []


@pytest.mark.parametrize("lazy", [False, True], ids=["at the top", "inside a function"])
def test_a_circle_is_found(tmp_path, lazy):
    room = tmp_path / "house" / "room"
    room.mkdir(parents=True)
    (room / "__init__.py").write_text("")
    (room / "one.py").write_text("from . import two\n")
    (room / "two.py").write_text("def run():\n    from .three import x\n" if lazy else "from .three import x\n")
    (room / "three.py").write_text("x = 1\n")
    assert circle(tmp_path / "house") == []
    (room / "three.py").write_text("from .one import two as x\n")
    assert {name.rpartition(".")[2] for name in circle(tmp_path / "house")} == {"one", "two", "three"}


def test_no_room_swells():
    """A folder of kernels holds at most 16 files; its door and the suite's at most 12."""
    folders = {HOUSE / "triton_kernels": 12, HOUSE / "conformance": 12}
    folders |= {folder: 16 for folder in (HOUSE / "triton_kernels").iterdir() if folder.is_dir()}
    files = {folder.name: len(list(folder.glob("*.py"))) for folder in folders}
    assert [name for (name, count), most in zip(files.items(), folders.values()) if count > most] == []
