"""What data-parallel training needs beyond torch.distributed: the right average over shards of unequal size.

DDP and FSDP average the ranks' gradients as if every rank had as many examples. With each rank's mean loss times
`share(n)` the result is D of the whole batch, alg.average: Σ over all examples / their number. λΘ is added once, by
the optimizer, after the average.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist


def share(n: int, group: Any = None, device: torch.device | str = "cpu") -> float:
    """ranks · n / Σ n: what this rank's mean loss over its n examples is multiplied by; 1 where all have as many.

    Every rank of the group must call it. Raises ValueError where no rank has an example.
    """
    total = torch.tensor(float(n), dtype=torch.float64, device=device)
    dist.all_reduce(total, group=group)
    if not total > 0:
        raise ValueError("share: no rank has an example; an average needs at least one")
    return dist.get_world_size(group) * n / float(total)
