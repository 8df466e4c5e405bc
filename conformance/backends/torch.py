"""torch's ATen composites of the same equations: what a CPU tensor runs, and a backend of its own."""

from ...triton_kernels import composite
from ..backend import Backend

backend = Backend("torch")
for _id, _function in composite.OPS.items():
    backend.op(_id)(_function)
