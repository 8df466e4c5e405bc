"""ONNX's operators, each as a graph of one node: by the reference evaluator, and by onnxruntime.

    chainrule conform onnx_nodes:reference
    chainrule conform onnx_nodes:runtime
"""

from functools import cache

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from chainrule.conformance import Backend

NAMES = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "identity": "Identity", "elu": "Elu",
         "leaky": "LeakyRelu", "gelu": "Gelu", "softmax": "Softmax"}
READINGS = {"act.gelu": "through 1 + erf", "act.gelu.tanh": "through 1 + tanh"}         # as the standard writes them
PARAMETERS = {"elu": ("alpha", 1.0), "leaky": ("slope", 0.1)}


def model(name, arrays, outputs, **attributes):
    kinds = [TensorProto.INT64 if a.dtype.kind == "i" else TensorProto.FLOAT for a in arrays]
    inputs = [helper.make_tensor_value_info(f"x{i}", kind, a.shape) for i, (a, kind) in enumerate(zip(arrays, kinds))]
    results = [helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, None) for i in range(outputs)]
    node = helper.make_node(name, [one.name for one in inputs], [one.name for one in results], **attributes)
    graph = helper.make_graph([node], "one", inputs, results)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def evaluated(made):
    return ReferenceEvaluator(made).run


def started(made):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"]).run


def filled(backend, ready):
    """Every op that ONNX has, computed as `ready` makes models run."""
    @cache
    def prepared(name, shapes, outputs, attributes):
        return ready(model(name, [np.empty(shape, kind) for shape, kind in shapes], outputs, **dict(attributes)))

    def ran(name, *arrays, outputs=1, **attributes):
        shapes = tuple((a.shape, a.dtype.name) for a in arrays)
        call = prepared(name, shapes, outputs, tuple(attributes.items()))
        found = call(None, {f"x{i}": np.ascontiguousarray(a) for i, a in enumerate(arrays)})
        return np.asarray(found[0], np.float32)

    for act, name in NAMES.items():
        word, default = PARAMETERS.get(act, ("", 0))
        if word:
            def one(z, name=name, word=word, default=default, **given):
                return ran(name, z, alpha=float(given.get(word, default)))
        else:
            def one(z, name=name):
                return ran(name, z)
        backend.op(f"act.{act}")(one)

    def activated(z, act):
        return z if act == "identity" else ran({"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh"}[act], z)

    @backend.op("act.gelu.tanh")
    def gelu(z):
        return ran("Gelu", z, approximate="tanh")

    @backend.op("net.layer.affine")
    def affine(x, w, b, act):
        z = ran("Gemm", x, w, b, transB=1)
        return activated(z, act)

    @backend.op("conv2d.layer")
    def conv(x, w, b=None, stride=1, padding=0, dilation=1, groups=1, act="identity"):
        stride, padding, dilation = ((n, n) if isinstance(n, int) else n for n in (stride, padding, dilation))
        z = ran("Conv", x, w, *([] if b is None else [b]), strides=tuple(stride), pads=(*padding, *padding),
                dilations=tuple(dilation), group=groups)
        return activated(z, act)

    @backend.op("norm.batch.inference")
    def batch(x, mu, var, gamma, beta, eps):
        return ran("BatchNormalization", x, gamma, beta, mu, var, epsilon=float(eps))

    @backend.op("norm.layer")
    def layer(x, gamma, beta, eps):
        return ran("LayerNormalization", x, gamma, beta, axis=-1, epsilon=float(eps))

    @backend.op("loss.softmax")
    def cross_entropy(z, y):
        delta = ran("Softmax", z, axis=1)
        delta[np.arange(len(z)), y] -= 1                                    # no node has it
        return ran("SoftmaxCrossEntropyLoss", z, y, reduction="none"), delta

    return backend


reference = filled(Backend("onnx reference", array="numpy", dtypes=["fp32"], readings=READINGS), evaluated)
runtime = filled(Backend("onnxruntime", array="numpy", dtypes=["fp32"], readings=READINGS), started)
