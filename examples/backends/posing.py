"""torch composites that pose as Triton kernels. `kernels=True` is a claim, and the suite catches the lie.

    chainrule conform posing:backend
"""

from chainrule.conformance import Backend
from chainrule.triton_kernels.ops import COMPOSITES

backend = Backend("posing", device="cuda", kernels=True)
for id, function in COMPOSITES.items():
    backend.op(id)(function)
