"""What SciPy has of the deck: special functions, and its correlations and convolutions.

    chainrule conform scipy_backend:backend
"""

import numpy as np
from scipy import signal, special

from chainrule.conformance import Backend

backend = Backend("scipy", array="numpy", dtypes=["fp32"])
backend.op("act.sigmoid")(lambda z: special.expit(z))
backend.op("act.softmax")(lambda z: special.softmax(z, 1))
backend.op("act.gelu")(lambda z: z * special.ndtr(z))
backend.op("conv1d.valid")(lambda theta, x: signal.correlate(x, theta, "valid"))
backend.op("conv2d.valid")(lambda I, K: signal.correlate2d(I, K, "valid"))


@backend.op("loss.softmax")
def softmax(z, y):
    delta = special.softmax(z, 1)
    delta[np.arange(len(z)), y] -= 1
    return -special.log_softmax(z, 1)[np.arange(len(z)), y], delta
