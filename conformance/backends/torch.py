"""torch's ATen composites of the same equations: what a CPU tensor runs, and a backend of its own."""

from ...triton_kernels.ops import COMPOSITES
from ..backend import Backend
from ..judging.operations import OPERATIONS

backend = Backend("torch")
for _id in OPERATIONS:
    backend.op(_id)(COMPOSITES[_id])
