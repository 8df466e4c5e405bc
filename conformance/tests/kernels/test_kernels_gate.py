"""The ahead-of-time gate: kernels compile for GPUs that are not here, and each kind of loss is noticed."""

import json

import attrs
import pytest
import torch
import triton
import triton.language as tl

from chainrule.conformance.mutate.kernels import Edit, edited
from chainrule.triton_kernels import OPS
from chainrule.triton_kernels.activations import kernels as act
from chainrule.triton_kernels.gate import __main__ as gate
from chainrule.triton_kernels.gate import machine_code
from chainrule.triton_kernels.gate.machine_code import Facts, assembled, instructions, loop
from chainrule.triton_kernels.gate.offline import SHARED, compiled
from chainrule.triton_kernels.gate.subjects import REPORTED, SUBJECTS, complaints, detours, empty, every, over
from chainrule.triton_kernels.images import layer as conv_layer
from chainrule.triton_kernels.images import pooled as conv_pool
from chainrule.triton_kernels.runtime import configs, launch

SUBJECT = {subject.name: subject for subject in SUBJECTS}


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(gate, "CACHE", tmp_path / "facts")


def measured(name, row, dtype=torch.bfloat16, arch="sm_90"):
    return gate.measure([(SUBJECT[name], dtype, row)], arch)[0]


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_small_configurations_pass(arch):
    row = configs.rows("net.layer.affine", arch, torch.bfloat16)[-2]
    layer = measured("layer, added", row, arch=arch)
    tanh = measured("tanh", configs.rows("pointwise", arch)[0], arch=arch)
    assert layer["wrong"] == tanh["wrong"] == []
    assert layer["matrix"]


def test_every_table_has_a_subject():
    assert {s.table for s in SUBJECTS} == set(configs.OPERATIONS)


def facts(entry, **changed):
    """An entry's facts, or some of them planted."""
    return Facts(**{**{name: entry[name] for name in Facts.__annotations__}, **changed})


def test_a_spilling_tile_fails():
    entry = measured("delta, elu", configs.Row(128, 128, 32, 4, 4), arch="sm_80")
    assert any("spill instructions" in w for w in entry["wrong"])
    assert any("Registers are spilled" in w for w in entry["warnings"])
    assert gate.fails(entry)


def test_too_much_shared_memory_fails():
    entry = measured("layer, boxes, tanh", configs.Row(128, 256, 64, 8, 4))
    assert entry["wrong"] == [f"{entry['shared']} bytes of shared memory, the limit is {SHARED['sm_90']}"]
    assert gate.fails(entry)


def test_a_lost_tensor_core_path_fails():
    row = configs.Row(64, 16, 32, 4, 3)
    entry = measured("average", row, torch.float32)
    assert entry["matrix"] == {}
    assert complaints(SUBJECT["average, tf32"], torch.float32, row, facts(entry), SHARED["sm_90"]) == [
        "no tensor-core instruction"]


def test_half_a_tensor_core_path_fails():
    row = configs.rows("net.layer.affine.boxes", "sm_90")[-1]
    entry = measured("layer, boxes, tanh", row)
    assert entry["wrong"] == []
    assert facts(entry).products == row.BM * row.BN * row.BK
    half = facts(entry, matrix={name: n // 2 for name, n in entry["matrix"].items()})
    assert "tensor cores do 262144 of a step's 524288 products" in complaints(
        SUBJECT["layer, boxes, tanh"], torch.bfloat16, row, half, SHARED["sm_90"])[0]


def test_lost_boxes_fail():
    row = configs.rows("net.layer.affine.boxes", "sm_90")[-1]
    skewed = gate.Subject("skewed", "net.layer.affine.boxes", lambda d, r: OPS["net.layer.affine"](
        empty(64, 4100, dtype=d), empty(64, 4100, dtype=d), None, "relu"), matrix=True)
    wrong = gate.measure([(skewed, torch.bfloat16, row)], "sm_90")[0]["wrong"]
    assert {"no load of a box", "no store of a box"} <= set(wrong)


def test_boxes_that_take_a_detour_to_the_tensor_cores_fail(monkeypatch):
    """Filters that pass through registers come there by shared memory, in every step of the main loop."""
    row = configs.rows("conv2d.layer.boxes", "sm_90")[-1]
    clean = measured("∂x, boxes, elu", row)
    assert clean["wrong"] == []
    assert clean["loop"] == {"all": clean["loop"]["all"]}
    straight = "total = tl.dot(taken, tile.T, total)"
    wrong = Edit("images.layer_boxes", "conv2d.layer", "scaled", straight, straight.replace("taken", "taken * taken"))
    monkeypatch.setattr(conv_layer, "boxes", edited(wrong).boxes)
    found = measured("∂x, boxes, elu", row)["wrong"]
    assert any(said.endswith("in the main loop") for said in found), found
    assert detours(facts(clean, loop={})) == ["no main loop found"]


def test_a_pooled_layer_that_does_more_than_its_maxima_fails(monkeypatch):
    """With one activation a window it has fewer than without pooling; with four, or with comparisons that find places
    nobody asked for, it has too many."""
    row = configs.rows("conv2d.layer.pool.boxes", "sm_90")[-1]
    pooled, plain = measured("convolution, pooled, boxes, tanh", row), measured("convolution, boxes, tanh", row)
    placed = measured("convolution, placed, boxes, tanh", row)
    assert pooled["wrong"] == placed["wrong"] == []
    assert pooled["instructions"] < placed["instructions"] < plain["instructions"]
    assert over(facts(pooled), facts(pooled), row.BM * row.BN, False) == []
    assert over(facts(pooled, instructions=pooled["instructions"] + 1), facts(pooled), row.BM * row.BN, False) != []
    assert over(facts(pooled, instructions=2 * pooled["instructions"]), facts(pooled), row.BM * row.BN, True) != []
    four = "best_of_four(z00, z01, z10, z11, PLACES)"
    # of an op that does not need the file, so that the edited file alone comes back
    always = Edit("images.tiles", "act.relu", "places", "if PLACES:\n        right", "if True:\n        right")
    more = edited(Edit("images.pooled_boxes", "conv2d.layer", "places for nobody", "if PLACES:", "if True:"))
    monkeypatch.setattr(conv_pool, "boxes", more)
    monkeypatch.setattr(more, "best_of_four", edited(always).best_of_four)
    assert "the layer without pooling has" in measured("convolution, pooled, boxes, relu", row)["wrong"][-1]
    each = four.replace("z00, z01, z10, z11", ", ".join(f"G(z{k}, p * 1.0)" for k in ("00", "01", "10", "11")))
    wrong = edited(Edit("images.pooled_boxes", "conv2d.layer", "activated first", four, each))
    monkeypatch.setattr(conv_pool, "boxes", wrong)
    (said,) = measured("convolution, placed, boxes, tanh", row)["wrong"]
    assert "instructions; the layer without pooling has" in said


def test_the_loop_that_multiplies_is_found():
    """The shortest way round a tensor-core instruction; a wait that stands at the end is not part of it."""
    text = """
  /*0010*/  LDSM.16.M88.4 R0, [R2] ;
  /*0020*/  @!P0 HGMMA.64x64x16.F32.BF16 R24, gdesc[UR28], R24 ;
  /*0030*/  @P0 BRA 0x10 ;
  /*0040*/  STS [R0], R1 ;
  /*0050*/  @!P0 BRA 0x50 ;
  /*0060*/  BRA.U 0x20 ;
"""
    assert loop(instructions(text)) == {"all": 3, "LDSM": 1}
    assert loop(instructions(text.replace("HGMMA", "FFMA"))) == {}


def test_a_lost_128_bit_transfer_fails():
    skewed = gate.Subject("tanh", "pointwise", lambda d, row: act.value(empty(4099, dtype=d)[1:], "tanh", 0.0))
    entry = gate.measure([(skewed, torch.bfloat16, configs.rows("pointwise")[0])], "sm_90")[0]
    assert any("no 128-bit read" in w for w in entry["wrong"])
    assert any("no 128-bit store" in w for w in entry["wrong"])
    row = configs.rows("pointwise")[0]
    narrow = facts(measured("tanh", row), stores={"32": 8})
    assert complaints(SUBJECT["tanh"], torch.bfloat16, row, narrow, SHARED["sm_90"]) == ["no 128-bit store: {'32': 8}"]


def test_what_a_kernel_starts_besides_is_judged_too(monkeypatch):
    """The sums over the batch follow a delta: their spills are its fault."""
    row = configs.rows("bp.delta", "sm_90", torch.bfloat16)[-1]
    read = gate.facts
    monkeypatch.setattr(gate, "facts", lambda kernels, said: [
        attrs.evolve(one, spills=3 * (kernel.metadata.name == "column_sums_kernel"))
        for kernel, one in zip(kernels, read(kernels, said))])
    assert measured("delta, elu", row)["wrong"] == ["column_sums_kernel: 3 spill instructions"]


@pytest.mark.parametrize(("name", "table", "arch", "row", "spills"), [
    ("average, added up", "alg.average", "sm_120", configs.Row(128, 64, 32, 8, 3), False),   # but without -lineinfo
    ("delta, elu", "bp.delta", "sm_80", configs.Row(128, 128, 32, 4, 3), True),       # which nobody else compiles here
])
def test_a_remembered_kernel_is_assembled_as_it_was(tmp_path, monkeypatch, name, table, arch, row, spills):
    monkeypatch.setattr(triton.knobs.cache, "dir", str(tmp_path))
    said = {}
    with configs.pinned(table, row):
        kernel = compiled(lambda: SUBJECT[name].call(torch.bfloat16, row), arch, said)[0][1]
    assert any("Registers are spilled" in one for one in assembled(kernel)) is spills
    assert machine_code.warned(said[kernel.hash]) == assembled(kernel)


@triton.jit
def _doubles(x):
    tl.store(x, 2.0 * tl.load(x))


def test_kernels_read_together_are_read_as_alone_and_heard_as_asked_again(tmp_path, monkeypatch):
    """The disassembler over all at once, against each alone; what the assembler said, against a second run of it."""
    monkeypatch.setattr(triton.knobs.cache, "dir", str(tmp_path))
    said, row = {}, configs.rows("bp.delta", "sm_80", torch.bfloat16)[-1]
    with configs.pinned("bp.delta", row):
        found = compiled(lambda: SUBJECT["delta, elu"].call(torch.bfloat16, row), "sm_80", said)
    found += compiled(lambda: launch.launch(_doubles, (1,), empty(4), row=configs.Row(16)), "sm_80", said)
    kernels = [kernel for _, kernel in found]
    assert "registers" in said[kernels[-1].hash]
    assert machine_code.facts(kernels, said) == [machine_code.facts([kernel], {})[0] for kernel in kernels]


def test_amd_is_reported_not_judged():
    assert [len(list(every(arch))) > 20 for arch in REPORTED] == [True, True]
    entry = measured("layer, added", configs.rows("net.layer.affine")[1], arch="gfx942")
    assert entry["registers"] > 0
    assert any(name.startswith("v_mfma") for name in entry["matrix"])
    assert entry["loads"]
    assert not gate.fails(entry | {"wrong": ["5 spill instructions"]})
    assert "NOTE 5 spill instructions" in gate.line(entry | {"wrong": ["5 spill instructions"]})


@triton.jit
def _broken(x):
    tl.store(x, tl.load(x) + undefined)             # noqa: F821


def test_a_kernel_that_does_not_compile_fails():
    row = configs.Row(16)
    broken = gate.Subject("broken", "pointwise", lambda d, r: launch.launch(_broken, (1,), empty(4), row=r))
    entry = gate.measure([(broken, torch.float32, row)], "sm_90")[0]
    assert entry["wrong"][0].startswith("does not compile: ")
    assert gate.line(entry).endswith(entry["wrong"][0])


def test_a_subject_that_starts_no_kernel_fails():
    silent = gate.Subject("silent", "pointwise", lambda d, r: None)
    entry = gate.measure([(silent, torch.float32, configs.Row(16))], "sm_90")[0]
    assert entry["wrong"] == ["starts 0 kernels, and number 1 is to be judged"]
    assert gate.fails(entry)


def test_facts_are_remembered_and_json_is_whole(tmp_path, monkeypatch, capsys):
    one = [(SUBJECT["tanh"], torch.float32, configs.rows("pointwise")[0])]
    monkeypatch.setattr(gate, "every", lambda arch: one)
    monkeypatch.setattr(gate, "ProcessPoolExecutor", _InThisProcess)
    assert gate.main(["sm_90", "--json", str(tmp_path / "gate.json")]) == 0
    monkeypatch.setattr(gate, "facts", lambda kernels, said: [pytest.fail("disassembled again") for _ in kernels])
    assert gate.main(["sm_90"]) == 0
    assert "1 configurations, 0 failed" in capsys.readouterr().out
    entries = json.loads((tmp_path / "gate.json").read_text())["entries"]
    assert entries[0]["stores"] == {"128": 2}


def test_subjects_are_chosen_by_their_names(capsys):
    assert {work[0].name for work in gate.chosen("sm_90", "^attention")} == {
        f"attention{what}, {numbers}" for what in ("", ", gradients") for numbers in (64, 128)}
    assert gate.chosen("sm_90", "") == list(every("sm_90"))
    assert gate.main(["sm_90", "-k", "no such thing"]) == 1
    assert "0 configurations, 0 failed" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        gate.main(["-k", "("])
    assert stop.value.code == 2


def test_unknown_target(capsys):
    with pytest.raises(SystemExit) as stop:
        gate.main(["sm_12"])
    assert stop.value.code == 2
    assert "unknown target sm_12; choose among sm_80" in capsys.readouterr().err


def test_the_launchers_own_row_is_compiled():
    calls = compiled(lambda: act.OPS["act.tanh"](empty(64)), "sm_90")
    assert [name for name, _ in calls] == ["unary_kernel"]
    assert calls[0][1].metadata.num_warps == configs.rows("pointwise", "sm_90")[0].warps


class _InThisProcess:
    def __init__(self, workers):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def map(self, function, items):
        return map(function, items)
