"""Optimizers of the package pytorch-optimizer.

    chainrule conform pytorch_optimizer_backend:backend
"""

import torch
from pytorch_optimizer import Lamb

from chainrule.conformance import Backend

backend = Backend("pytorch-optimizer", dtypes=["fp32"])


@backend.op("opt.lamb")
def lamb(theta, D, m, v, t, eta, lam, beta1, beta2, eps):
    p = torch.nn.Parameter(theta.clone())
    p.grad = D.clone()
    rule = Lamb([p], lr=eta, betas=(beta1, beta2), eps=eps, weight_decay=lam)
    rule.state[p].update(exp_avg=m.clone(), exp_avg_sq=v.clone())
    rule.param_groups[0]["step"] = t - 1
    rule.step()
    return p.detach(), rule.state[p]["exp_avg"], rule.state[p]["exp_avg_sq"]
