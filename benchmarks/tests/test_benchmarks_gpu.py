"""The GPU command where there is no GPU: its plan, its scheduler by a fake clock, its statistics, its checks, and its
measuring with a clock that is not a GPU's."""

from __future__ import annotations

import importlib
import math
import random
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks").is_dir(), reason="the benchmarks are in the repository, not in the wheel")


@pytest.fixture(scope="module")
def of():
    """A module of the benchmarks, by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        yield lambda name: importlib.import_module(f"benchmarks.{name}")


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def scheduled(of, jobs, phases=(("a", 10), ("b", 10)), seconds=30.0, reserve=0.0):
    """Run jobs given as (id, phase, priority, estimate, true seconds); what ran in which order, and the outcome."""
    schedule, clock, ran = of("schedule"), Clock(), []

    def job(id, phase, priority, estimate, takes):
        def run():
            ran.append(id)
            clock.now += takes
            if id.startswith("bad"):
                raise RuntimeError("it broke\nin detail")
        return schedule.Job(id, phase, priority, estimate, run)

    outcome = schedule.run([job(*one) for one in jobs], [schedule.Phase(n, s, "") for n, s in phases],
                           schedule.Deadline(seconds, clock), reserve)
    return ran, outcome


def test_phases_in_order_and_the_important_first(of):
    ran, outcome = scheduled(of, [("late", "b", 1, 1, 1), ("second", "a", 2, 1, 1), ("first", "a", 1, 1, 1)])
    assert ran == ["first", "second", "late"]
    assert outcome.not_run == []
    assert outcome.wall == {"a": 2, "b": 1}


def test_what_does_not_fit_is_named_and_smaller_work_still_runs(of):
    ran, outcome = scheduled(of, [("big", "a", 1, 11, 11), ("small", "a", 2, 4, 4)])
    assert ran == ["small"]
    assert outcome.not_run == [{"id": "big", "why": "needs 11 s, 10 s were left"}]


def test_leftover_time_flows_on_but_is_not_borrowed(of):
    assert scheduled(of, [("x", "a", 1, 2, 2), ("long", "b", 1, 18, 18)])[0] == ["x", "long"]
    assert scheduled(of, [("x", "a", 1, 2, 2), ("long", "b", 1, 19, 19)])[0] == ["x"]


def test_estimates_are_corrected_by_experience(of):
    ran, outcome = scheduled(of, [("one", "a", 1, 2, 6), ("two", "a", 2, 2, 2)])
    assert ran == ["one"]                       # the next of 2 s is expected to take 6 as well, and 4 are left
    assert outcome.not_run == [{"id": "two", "why": "needs 6 s, 4 s were left"}]


def test_the_deadline_keeps_a_reserve(of):
    ran, _ = scheduled(of, [("x", "a", 1, 5, 5), ("y", "b", 1, 8, 8)], seconds=15, reserve=3)
    assert ran == ["x"]
    assert scheduled(of, [("x", "a", 1, 5, 5), ("y", "b", 1, 7, 7)], seconds=15, reserve=3)[0] == ["x", "y"]


def test_a_failure_is_reported_and_the_rest_goes_on(of):
    ran, outcome = scheduled(of, [("bad", "a", 1, 1, 1), ("good", "a", 2, 1, 1)])
    assert ran == ["bad", "good"]
    assert outcome.not_run == [{"id": "bad", "why": "failed: RuntimeError: it broke"}]


def test_a_late_job_cannot_pass_the_deadline_by_much(of):
    """Only the job that overruns its estimate goes over; nothing starts after it."""
    ran, outcome = scheduled(of, [("x", "a", 1, 5, 40), ("y", "b", 1, 1, 1)])
    assert ran == ["x"]
    assert outcome.not_run[0]["why"] == "needs 1 s, 0 s were left"


def test_medians_and_intervals(of):
    samples = of("samples")
    assert samples.median([3, 1, 2]) == 2
    assert samples.median([4, 1, 2, 3]) == 2.5
    assert samples.interval([2.0] * 15) == (2.0, 2.0)
    draws = [random.Random(1).gauss(10, 1) for _ in range(1)] + [10 + x / 7 for x in range(-7, 8)]
    low, high = samples.interval(draws)
    assert low < samples.median(draws) < high
    assert samples.interval(draws) == (low, high)           # the same file gives the same numbers, always
    with pytest.raises(ValueError, match="no samples"):
        samples.median([])


def test_the_interval_covers_the_median_as_often_as_it_says(of):
    samples, generator = of("samples"), random.Random(5)
    hits = 0
    for _ in range(60):
        low, high = samples.interval([generator.gauss(1, 0.1) for _ in range(15)])
        hits += low <= 1 <= high
    assert 50 <= hits <= 60                                  # 57 expected


def test_drift_cancels_in_ratios(of):
    drift = [1 + 0.05 * i for i in range(15)]
    found = of("samples").ratio([10 * d for d in drift], [10 * d for d in drift], [13 * d for d in drift])
    assert found.median == pytest.approx(1.3)
    assert found.high - found.low < 1e-9
    assert (found.wins, found.rounds, found.tie) == (15, 15, False)


def test_what_drowns_in_noise_is_a_tie(of):
    ours, again = [10.0, 11.0] * 7 + [10.0], [11.0, 10.0] * 7 + [11.0]
    peer = [1.02 * (a + b) / 2 for a, b in zip(ours, again)]
    assert of("samples").ratio(ours, again, peer).tie
    assert not of("samples").ratio([10.0] * 15, [10.01] * 15, [10.2] * 15).tie
    assert of("samples").ratio([10.0] * 15, [10.0] * 15, [9.0] * 8 + [13.0] * 7).tie
    with pytest.raises(ValueError, match="one of each a round"):
        of("samples").ratio([1.0], [1.0], [1.0, 2.0])


def test_rounds_are_whole_shuffled_and_time_ours_twice(of):
    order = []
    timers = {name: lambda name=name: order.append(name) or 1.0 for name in ("ours", "eager", "compile")}
    samples = of("rounds").rounds(timers, 10)
    assert {name: len(s) for name, s in samples.items()} == {"ours": 10, "eager": 10, "compile": 10, "ours again": 10}
    each = [tuple(order[i : i + 4]) for i in range(0, 40, 4)]
    assert all(sorted(one) == ["compile", "eager", "ours", "ours"] for one in each)
    assert len(set(each)) > 3


def test_rounds_stop_after_a_whole_round(of):
    left = iter([5, 5, 5, 1, 0, 0])
    samples = of("rounds").rounds({"ours": lambda: 1.0}, 15, left=lambda: next(left))
    assert {len(s) for s in samples.values()} == {4} or {len(s) for s in samples.values()} == {7}


def tiny(of):
    problems, more, near, img, norms, networks = (
        of(f"problems{kind}") for kind in ("", "_more", "_neighbours", "_images", "_norms", "_networks"))
    f64 = torch.float64
    return [
        *(problems.layer(5, 4, 3, act, f64) for act in problems.TORCH_ACT), problems.delta(5, 4, 3, f64),
        problems.average(5, 4, 3, f64), problems.descent(5, 4, 3, dtype=f64, theta=f64),
        problems.descent(5, 4, 3, "momentum", f64, f64), problems.softmax(5, 7, f64),
        problems.logits(5, 7, f64), problems.activation(11, "tanh", f64), problems.step((5, 4, 3), 6, "sgd", f64),
        img.convolution(2, 3, 5, 4, dtype=f64), img.convolution(2, 3, 7, 4, "tanh", 2, 2, True, f64),
        img.into_x(2, 3, 7, 4, 3, 2, f64), img.into_w(2, 3, 7, 4, 3, 2, f64),
        img.pooling(2, 3, 6, f64), img.signal(3, 11, f64),
        *(more.optimizer(rule, 40) for rule in more.OPTIMIZERS),
        norms.forward(4, 3, 5, f64), norms.backward(4, 3, 5, f64), networks.images(3, 2, f64),
        networks.images(5, 2, f64), networks.residual(2, 3, 5, f64),
        near.local(3, 7, 5, dtype=f64), near.shared(3, 7, 5, dtype=f64), near.local_weights(3, 7, 5, f64),
        near.shared_weights(3, 7, 5, f64),
    ]


@pytest.fixture
def double(of, monkeypatch):
    monkeypatch.setitem(of("problems").UNITS, torch.float64, "fp64")


def test_ours_and_the_peers_compute_the_same(of, double, monkeypatch):
    """In float64, where nothing but a wrong formula can tell them apart; torch's compiler would keep it."""
    monkeypatch.setattr(torch, "compile", lambda function, **how: function)
    check, ops = of("check"), set()
    for problem in tiny(of):
        tensors = problem.tensors("cpu", torch.Generator().manual_seed(0))
        wanted = check.exact(problem, tensors)
        mine = [problem.ours, problem.eager, *([of("problems").plain(problem.text)] if problem.text else [])]
        mine += [] if problem.compiles is None else [problem.compiles("default")]
        offered = [of("peers").PEERS[name].make(problem) for name in ("dense", "foreach", "channels_last")]
        mine += [peer for peer in offered if peer is not None]
        for prepare in mine:
            found = check.check(problem, prepare, tensors, wanted)
            assert found.error < 1e-6, (problem.op, found)
            assert found.repeats, problem.op
        ops.add(problem.op)
    assert {s.problem.op for s in of("subjects").SUBJECTS} - {"act.sigmoid"} <= ops


def test_a_wrong_peer_fails_its_check(of):
    problems, check = of("problems"), of("check")
    problem = problems.layer(64, 32, 16)
    tensors = problem.tensors("cpu", torch.Generator().manual_seed(0))
    wanted = check.exact(problem, tensors)
    wrong = {
        "no bias": lambda x, w, b: torch.relu(x @ w.t()),
        "one element": lambda x, w, b: torch.relu(torch.nn.functional.linear(x, w, b)).index_fill(
            1, torch.tensor([3]), 0.0),
        "nan": lambda x, w, b: torch.relu(torch.nn.functional.linear(x, w, b)) * math.nan,
        "shape": lambda x, w, b: torch.relu(torch.nn.functional.linear(x, w, b)).t(),
    }
    for name, function in wrong.items():
        assert not check.check(problem, problems.plain(function), tensors, wanted).passed, name
    assert check.check(problem, problem.ours, tensors, wanted).passed
    assert check.check(problem, problem.eager, tensors, wanted).passed


def test_check_does_not_touch_its_inputs(of, double):
    problem = of("problems").descent(5, 4, 3, dtype=torch.float64, theta=torch.float64)
    tensors = problem.tensors("cpu", torch.Generator().manual_seed(0))
    before = {n: t.clone() for n, t in tensors.items()}
    of("check").check(problem, problem.ours, tensors, of("check").exact(problem, tensors))
    assert all(torch.equal(tensors[n], t) for n, t in before.items())


def test_floors_of_the_subjects(of):
    """No floor counts fewer bytes than the inputs of its problem, all of which must be read."""
    for subject in of("subjects").SUBJECTS:
        assert subject.problem.floor.bytes >= subject.problem.bytes, subject.id
        sources = of("record").sources()
        assert all(of("record").within(place, sources) for place in subject.problem.sources), subject.id
        assert set(subject.peers) <= set(of("peers").PEERS)
    floor = of("floors").Floor(2e12, 1e9)
    assert floor.seconds({"bf16": 1e15, "copy": 1e12}) == 2e-3
    assert floor.bound({"bf16": 1e15, "copy": 1e12}) == "arithmetic"
    assert floor.seconds({"bf16": 1e15, "copy": 1e11}) == 1e-2


class OnThisClock:
    """Stands in for `prepared`: wall clock of plain calls."""

    def __init__(self, of):
        self.Timed = of("timing").Timed

    def __call__(self, prepare, sets):
        calls = [prepare(tensors) for tensors in sets]

        def sample():
            start = time.perf_counter()
            with torch.no_grad():
                for call in calls:
                    call()
            return (time.perf_counter() - start) / len(calls) * 1e6
        return self.Timed("event", sample, [sample()])


@pytest.fixture
def measuring(of, monkeypatch):
    monkeypatch.setattr(of("measure"), "prepared", OnThisClock(of))
    monkeypatch.setattr(of("measure"), "sets_for", lambda problem: 2)
    monkeypatch.setattr(of("measure"), "DEVICE", "cpu")
    return of("measure")


def subject(of, problem, peers=("eager",)):
    return of("subjects").Subject("one", problem, 1, peers)


def test_measuring_keeps_raw_samples_and_fails_wrong_peers(of, measuring, monkeypatch):
    peers, problems = of("peers"), of("problems")
    wrong = peers.Peer("wrong", lambda problem: problems.plain(lambda x, w, b: x @ w.t()))
    absent = peers.Peer("absent", lambda problem: None, "a_package_that_is_not_there")
    broken = peers.Peer("broken", lambda problem: problems.plain(lambda **t: 1 / 0))
    for one in (wrong, absent, broken):
        monkeypatch.setitem(peers.PEERS, one.name, one)
    row = measuring.measure(subject(of, problems.layer(8, 6, 4), ("eager", "wrong", "absent", "broken")), None,
                            of("device").Clocks(), lambda: 100.0)
    mine = row["implementations"]
    assert len(mine["ours"]["samples_us"]) == len(mine["ours again"]["samples_us"]) == 15
    assert mine["eager"]["passed"]
    assert len(mine["eager"]["samples_us"]) == 15
    assert not mine["wrong"]["passed"]
    assert "samples_us" not in mine["wrong"]
    assert mine["broken"] == {"passed": False, "why": "division by zero"}
    assert row["missing"] == [{"id": "one: absent", "why": "a_package_that_is_not_there is not installed"}]


@pytest.mark.slow                                          # the wall clock decides: a busy machine may mislead it
def test_tuning_tries_every_row_and_strikes_what_is_wrong(of, measuring, monkeypatch):
    problem = of("problems").layer(8, 6, 4)
    configs = measuring.configs
    rows = configs.rows("net.layer.affine", "default", torch.bfloat16)
    pinned = []

    def ours(x, w, b):
        now = configs.choose("net.layer.affine", (8, 4), torch.bfloat16)
        pinned.append(now)
        time.sleep(0.0 if now is rows[1] else 0.002)
        return torch.relu(torch.nn.functional.linear(x, w, b)) * (1 if now is not rows[0] else 2)

    found = measuring.tune(subject(of, attrs.evolve(problem, ours=of("problems").plain(ours))))
    assert set(pinned) == set(rows)
    assert found["best"] == str(rows[1])
    assert ["us" in tried for tried in found["tried"]] == [False] + [True] * (len(rows) - 1)


def test_a_whole_run(of, measuring, tmp_path, monkeypatch):
    """Everything but the GPU: the file after it can be audited, and says what was left out."""
    ceilings = {"copy": 1e15, "bf16": 1e18, "fp16": 1e18, "tf32": 1e18, "fp32": 1e18, "launch": 1e-9}
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA Nothing 9000")
    monkeypatch.setattr(of("device"), "fingerprint", lambda: {"gpu": "NVIDIA Nothing 9000", "packages": {}})
    monkeypatch.setattr(of("device"), "ceilings",
                        lambda: ceilings | {"samples": {name: [value] for name, value in ceilings.items()}})
    monkeypatch.setattr(of("phases"), "compile_all", lambda run, mine, seconds: run.put("compiled", {}))
    monkeypatch.setattr(of("native"), "conformance", lambda left, workers: {"cases": 1, "judged": 1, "failed": []})
    monkeypatch.setattr(of("native"), "sanitized", lambda left: {"why": "compute-sanitizer is not installed"})
    monkeypatch.setattr(of("rounding"), "model", lambda: 1 / 0)
    one = attrs.evolve(subject(of, of("problems").layer(8, 6, 4)), priority=2)
    path = of("gpu").measured([one], 300, tmp_path)
    assert path.name.startswith("gpu-nothing-")
    run = of("record").read(path)
    assert {"id": "rounding model", "why": "failed: ZeroDivisionError: division by zero"} in run["not_run"]
    assert run["tuning"][0]["best"] in {tried["row"] for tried in run["tuning"][0]["tried"]}
    row = of("audit").audit(run).rows[0]
    assert row.id == "one"
    assert row.ratios["eager"].rounds == 15
    assert row.notes == ()
    assert "one" in of("audit").text(of("audit").audit(run))


@pytest.mark.filterwarnings("ignore:.*Function.*should not be instantiated:DeprecationWarning")     # by torch's tracer
@pytest.mark.parametrize("name", ["MLP", "Net", "MLP in bf16", "ResidualBlock"])
def test_steps_started_by_torch_are_compared_bit_by_bit(of, name):
    under = of("under_torch")
    assert name in under.STEPS
    assert under.compiled(under.STEPS[name], torch.device("cpu"), backend="aot_eager") == "same bits"


def test_a_difference_is_told(of):
    under = of("under_torch")
    one, other = torch.ones(4), torch.ones(4) + torch.tensor([0.0, 0.5, 0.0, 0.0])
    assert under.difference([one, other], [one, other]) == "same bits"
    assert under.difference([one, one], [one, other]) == "2.2e-01 apart"
    assert under.tried(lambda: 1 / 0) == "failed: ZeroDivisionError: division by zero"


def test_rows_that_cannot_hold_the_classes_are_not_tried(of, measuring):
    rows = measuring.candidates(of("problems").softmax(8, 1000))
    assert rows
    assert all(row.BN >= 1000 for row in rows)


def test_the_plan_names_everything_and_fits(of, capsys, monkeypatch):
    """What claims rest on, whole steps, and one of each kind, where no other library is installed."""
    gpu, phases, peers = of("gpu"), of("phases"), of("peers").PEERS
    for name in ("timm", "liger", "flag_gems"):
        monkeypatch.setitem(peers, name, attrs.evolve(peers[name], needs="a_package_that_is_not_there"))
    assert gpu.main(["--plan"]) == 0
    text = capsys.readouterr().out
    for one in of("subjects").SUBJECTS:
        assert one.id in text
    for name in (*of("peers").PEERS, *(p.name for p in phases.PHASES)):
        assert name in text
    assert phases.SECONDS <= phases.MOST_SECONDS == 600
    run = phases.Run(of("schedule").Deadline(phases.SECONDS))
    planned = of("schedule").plan(phases.jobs(run, of("subjects").SUBJECTS), phases.PHASES, phases.SECONDS)
    left_out = {one["id"] for one in planned.not_run}
    assert not {s.id for s in of("subjects").SUBJECTS if s.priority == 1 or s.phase == "steps"} & left_out
    assert not {"adagrad 2^26 fp32", "lamb 2^26 fp32"} & left_out
    tuned = {job.id.removeprefix("tune ") for job in phases.jobs(run, of("subjects").SUBJECTS) if job.phase == "tune"}
    assert {"batch norm 64 x 256 x 56 x 56", "layer relu 8192 x 1024 -> 4096", "softmax 8192 x 32000"} <= tuned
    assert not any("2^26" in id for id in tuned)            # one row: nothing to choose


@pytest.mark.parametrize("seconds", [60, 200, 400])
def test_what_is_cut_off_can_be_audited_and_gone_on_with(of, seconds, tmp_path):
    """The command killed after so many seconds of a clock that runs a hundred times as fast; then the rest of it."""
    scale, file = 1 / 100, [sys.executable, str(ROOT / "benchmarks/gpu.py")]
    command = [*file, "--dry", str(scale), "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        assert "begun" in running.stdout.readline()
        time.sleep(seconds * scale)
        running.kill()
    (path,) = tmp_path.glob("dry-*.json")
    run = of("record").read(path)
    found = of("audit").audit(run)
    measured = [row.id for row in found.rows]
    claims = {one.id for one in of("subjects").SUBJECTS if one.priority == 1}
    assert set(measured) <= claims if seconds < 400 else len(measured) > len(claims) / 2
    assert set(measured) == {row["id"] for row in run["rows"]} <= set(run["done"]) | {measured[-1] if measured else ""}
    assert all(row.ratios["eager"].rounds == 15 for row in found.rows)
    assert of("audit").text(found)
    assert of("record").committed(tmp_path) == []               # nothing that a README would believe
    if seconds == 200:
        again = subprocess.run([*command, "--resume", str(path)], capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        after = of("record").read(path)
        assert after["rows"][: len(run["rows"])] == run["rows"]
        ids = [row["id"] for row in after["rows"]]
        assert len(ids) == len(set(ids)) > len(run["rows"])
        assert claims <= set(ids)


def test_a_file_of_other_kernels_or_another_gpu_is_not_gone_on_with(of, tmp_path):
    gpu, record = of("gpu"), of("record")
    record.write(tmp_path / "one.json", gpu.begun({"a.py": "1"}, None, "") | {"environment": {"gpu": "that"}})
    with pytest.raises(ValueError, match="other kernels than these"):
        gpu.begun({"a.py": "2"}, tmp_path / "one.json", "that")
    with pytest.raises(ValueError, match="measured on one that, and here is one this"):
        gpu.begun({"a.py": "1"}, tmp_path / "one.json", "this")


@pytest.mark.parametrize(("arguments", "says"), [
    ([], "torch sees no GPU on this machine"),
    (["--only", "no such"], "no subject has 'no such' in its name"),
    (["--seconds", "601"], "a run takes at most 600"),
])
def test_refusals_are_one_sentence(of, capsys, monkeypatch, arguments, says):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    try:
        status = of("gpu").main(arguments)
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert says in capsys.readouterr().err


def test_it_starts_as_a_file_from_anywhere(tmp_path):
    """This folder's module names must not stand in for the standard library's."""
    done = subprocess.run([sys.executable, str(ROOT / "benchmarks/gpu.py"), "--plan", "--only", "layer relu"],
                          capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "layer relu 8192 x 1024 -> 4096" in done.stdout


def test_shards_hold_every_case_once(of):
    shards = of("native").shards([str(i) for i in range(101)], 48)
    assert [len(s) for s in shards] == [48, 48, 5]
    assert [case for shard in shards for case in shard] == [str(i) for i in range(101)]
    assert of("native").command(["a/T0/x/fp32"], Path("out"))[-1] == "--case=a/T0/x/fp32"
    assert of("native").finished(["sleep", "9"], 1.1).startswith("stopped after")
    assert of("native").finished([sys.executable, "-c", "print(5); raise SystemExit(3)"], 60) == "exit 3: 5"


def test_distance_between_floating_point_numbers(of):
    steps = of("rounding").steps_apart
    one = torch.tensor([1.0, -0.0, math.inf])
    assert steps(one, one) == 0
    assert steps(torch.tensor([1.0]), torch.nextafter(torch.tensor([1.0]), torch.tensor([2.0]))) == 1
    assert steps(torch.tensor([-1e-45]), torch.tensor([1e-45])) == 2
    assert steps(torch.tensor([math.nan]), torch.tensor([math.nan])) == 0
    assert steps(torch.tensor([math.nan]), torch.tensor([1.0])) > 2**60


def test_every_subject_compiles_through_the_launcher(of, monkeypatch):
    """Each subject starts kernels of ours on tensors without memory; compiling them is the gate's business."""
    from chainrule.triton_kernels.gate.offline import Target
    from chainrule.triton_kernels.runtime import launch

    started = []
    for one in of("subjects").SUBJECTS:
        started.clear()
        tokens = launch.simulation.set(Target("sm_90")), launch.recording.set(lambda *given: started.append(given))
        try:
            one.problem.ours(one.problem.tensors("meta"))()
        finally:
            launch.simulation.reset(tokens[0])
            launch.recording.reset(tokens[1])
        assert started, one.id
