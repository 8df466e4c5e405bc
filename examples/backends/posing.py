"""torch composites that pose as Triton kernels. `kernels=True` is a claim, and the suite catches the lie.

    chainrule conform posing:backend
"""

from chainrule.conformance import Backend
from chainrule.triton_kernels import composite

backend = Backend("posing", device="cuda", kernels=True)
for id, function in composite.OPS.items():
    backend.op(id)(function)
