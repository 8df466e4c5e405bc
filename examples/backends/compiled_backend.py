"""What torch.compile makes of the functions of torch_native, for a CPU.

    chainrule conform compiled_backend:backend
"""

import torch
import torch_native

from chainrule.conformance import Backend

torch._dynamo.config.cache_size_limit = torch._dynamo.config.accumulated_cache_size_limit = 4096
backend = Backend("torch.compile", dtypes=["fp32"])
for id, function in torch_native.library.ops.items():
    backend.op(id)(torch.compile(function, dynamic=True))
