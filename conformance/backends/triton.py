"""Our Triton kernels as a backend like any other: natively on a GPU, in the simulator without one."""

from ... import triton_kernels
from ..backend import Backend

backend = Backend("triton", device="cuda", kernels=True)
for _id, _function in triton_kernels.OPS.items():
    backend.op(_id)(_function)
