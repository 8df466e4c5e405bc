"""One command for a GPU: is it right, how fast is it, against whom, and how near the floor.

    python benchmarks/gpu.py                 everything, in under ten minutes; writes benchmarks/results/gpu-….json
    python benchmarks/gpu.py --resume FILE   what that call left out, into the same file
    python benchmarks/gpu.py --plan          what would be done, in which time, without a GPU
    python benchmarks/gpu.py --dry SCALE     the same files without a GPU: every job sleeps its estimate times SCALE

The file is written whole after every job, so that a call may be cut off at any moment. What does not fit before the
deadline is left out by priority and named in it, as is what fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if not __package__:         # started as a file: this folder's names must not stand in for the standard library's
    root = Path(__file__).resolve().parents[1]
    sys.path[0] = str(root)
    sys.path.insert(1, str(root / "src"))

import torch

from benchmarks import floors, pretended, record
from benchmarks.peers import PEERS
from benchmarks.phases import MOST_SECONDS, PHASES, SECONDS, Run, jobs
from benchmarks.schedule import Deadline, Job, Outcome, plan, run
from benchmarks.subjects import SUBJECTS, Subject


def plan_text(chosen: Sequence[Subject], seconds: float) -> str:
    """Phases and their time, subjects with floors and peers, peers with what is missing, and what would not fit."""
    mine = jobs(Run(Deadline(seconds)), chosen)
    planned = plan(mine, PHASES, seconds)
    count = Counter(job.phase for job in mine)
    lines = [f"at most {seconds:.0f} s; the first phases' leftovers go to the later ones", ""]
    lines += [f"{p.name:13}{p.seconds:4.0f} s  {count[p.name]:3d} job{'s' if count[p.name] != 1 else ' '}  "
              f"planned {planned.wall[p.name]:4.0f} s  {p.says}" for p in PHASES]
    lines += ["", f"floors by the datasheet of one {floors.DATASHEET_OF}; a run measures its own ceilings", ""]
    lines += [f"{'subject':50}{'priority':>8}{'GFLOP':>10}{'MB':>9}{'floor µs':>10}  bound       peers"]
    for one in chosen:
        floor = one.problem.floor
        lines.append(f"{one.id:50}{one.priority:8d}{floor.flops / 1e9:10.2f}{floor.bytes / 1e6:9.1f}"
                     f"{floor.seconds(floors.DATASHEET) * 1e6:10.1f}  {floor.bound(floors.DATASHEET):10}  "
                     f"{', '.join((*one.peers, *(('max-autotune',) if one.priority == 1 else ())))}")
    lines += ["", "peers: each is timed by plain calls and in a CUDA graph"]
    lines += [f"{name:24}{peer.missing() or 'here'}" for name, peer in PEERS.items()]
    if planned.not_run:
        lines += ["", "would not fit, if every estimate were right"]
        lines += [f"{one['id']}: {one['why']}" for one in planned.not_run]
    return "\n".join(lines)


def begun(files: dict[str, str], resumed: Path | None, gpu: str) -> dict[str, Any]:
    """A new record, or one to be gone on with: of these kernels, on such a GPU."""
    if resumed is None:
        return {"schema": record.SCHEMA, "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "sources": files, "rows": [], "done": []}
    before = record.read(resumed)
    if before["sources"] != files:
        raise ValueError(f"{resumed}: measured with other kernels than these; start a new file")
    if before.get("environment", {}).get("gpu", gpu) != gpu:
        raise ValueError(f"{resumed}: measured on one {before['environment']['gpu']}, and here is one {gpu}")
    return before


def measured(
    chosen: Sequence[Subject], seconds: float, folder: Path, resumed: Path | None = None, dry: float = 0.0
) -> Path:
    """Run everything that is not done yet; the file, which is written before and after each job."""
    torch.backends.cudnn.allow_tf32 = False         # what is called fp32 is that, on both sides
    files = record.sources()
    name = pretended.GPU if dry else torch.cuda.get_device_name()
    this = Run(Deadline(seconds * (dry or 1.0)), begun(files, resumed, name))
    this.best |= {one["id"]: one["best"] for one in this.record.get("tuning", [])}
    gpu, kernels = name.lower().replace("nvidia", "").split()[0], record.digest(files)[:8]
    stamp = time.strftime("%Y%m%d-%H%M", time.gmtime())
    path = resumed or folder / f"{'dry' if dry else 'gpu'}-{gpu}-{stamp}-{kernels}.json"
    done, spent = set(this.record["done"]), this.record.get("seconds", 0.0)

    def save(outcome: Outcome, job: Job) -> None:
        this.record["not_run"], this.record["wall"] = outcome.not_run, outcome.wall
        this.record["done"] = sorted(done | outcome.done.keys())
        this.record["seconds"] = spent + this.deadline.spent()
        record.write(path, this.record)
        print(f"{this.deadline.spent():5.0f} s  {job.id}", flush=True)

    mine, phases = [job for job in jobs(this, chosen) if job.id not in done or job.id == "fingerprint"], PHASES
    if dry:
        mine, phases = pretended.jobs(this, mine, chosen, dry), pretended.phases(dry)
    outcome = Outcome()
    save(outcome, Job("begun", "", 0, 0, lambda: None))
    run(mine, phases, this.deadline, 10.0 * (dry or 1.0), save, outcome)
    save(outcome, Job("written", "", 0, 0, lambda: None))
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gpu.py", description=__doc__.splitlines()[0])
    parser.add_argument("--plan", action="store_true", help="print jobs, peers, floors and time; needs no GPU")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of wall clock, at most {MOST_SECONDS}")
    parser.add_argument("--only", default="", metavar="WORD", help="only subjects whose name has this word")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="go on with what a call before left out")
    parser.add_argument("--dry", type=float, default=0.0, metavar="SCALE",
                        help="no GPU: jobs sleep their estimates times SCALE, and the file says that it is none")
    parser.add_argument("--out", type=Path, default=record.RESULTS, metavar="FOLDER", help="where the JSON goes")
    given = parser.parse_args(arguments)
    chosen = [one for one in SUBJECTS if given.only in one.id]
    if not chosen:
        parser.error(f"no subject has {given.only!r} in its name; --plan lists them")
    if not 0 < given.seconds <= MOST_SECONDS:
        parser.error(f"--seconds {given.seconds:g}: a run takes at most {MOST_SECONDS}")
    if given.plan:
        print(plan_text(chosen, given.seconds))
        return 0
    if not given.dry and not torch.cuda.is_available():
        print("gpu.py: torch sees no GPU on this machine, and this command measures one; --plan prints what it would "
              "do", file=sys.stderr)
        return 2
    try:
        path = measured(chosen, given.seconds, given.out, given.resume, given.dry)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    from benchmarks import audit

    print(audit.text(audit.audit(record.read(path))))
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
