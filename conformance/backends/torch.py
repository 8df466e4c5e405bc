"""torch's ATen composites of the same equations: what a CPU tensor runs, and a backend of its own."""

from ...triton_kernels.ops import COMPOSITES
from ..backend import Backend
from .composed import composed

backend = Backend("torch")
for _id, _function in COMPOSITES.items():
    backend.op(_id)(_function)
composed(backend)
