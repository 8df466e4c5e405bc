"""What torch.compile makes of the functions of torch_native, for a CPU.

    chainrule conform compiled_backend:backend
"""

from functools import partial

import torch
from torch_native import OWN, from_logits, make

torch._dynamo.config.cache_size_limit = torch._dynamo.config.accumulated_cache_size_limit = 4096
backend = make("torch.compile", from_logits, OWN, partial(torch.compile, dynamic=True))
