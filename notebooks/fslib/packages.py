"""Model packages: the model, a card that says what it is, and golden inputs with the outputs that training saw."""

import hashlib
import json
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
# Written by older tools than the runtime reads: the opset decides what may be used.
IR_VERSION = 8


def mlp_onnx(layers, name, squash=False, keep=None):
    """A feed-forward net as ONNX bytes. `layers`: (weights [in, out], bias [out], activation or None) each.

    `squash`: inputs go through asinh first, so that one huge value does not drown the rest. `keep`: a number for each
    input; so much of it is added to the output of its place.
    """
    nodes, weights, last = [], [], "windows"
    if squash:
        nodes.append(helper.make_node("Asinh", [last], ["squashed"]))
        last = "squashed"
    for i, (kernel, bias, activation) in enumerate(layers):
        for part, values in (("w", kernel), ("b", bias)):
            weights.append(numpy_helper.from_array(np.asarray(values, np.float32), f"{part}{i}"))
        final = i == len(layers) - 1
        out = "out" if final and activation is None and keep is None else f"h{i}"
        nodes.append(helper.make_node("Gemm", [last, f"w{i}", f"b{i}"], [out]))
        last = out
        if activation is not None:
            act = "out" if final and keep is None else f"a{i}"
            nodes.append(helper.make_node(activation, [last], [act]))
            last = act
    if keep is not None:
        weights.append(numpy_helper.from_array(np.asarray(keep, np.float32), "keep"))
        nodes.append(helper.make_node("Mul", ["windows", "keep"], ["kept"]))
        nodes.append(helper.make_node("Add", [last, "kept"], ["out"]))
    wide_in, wide_out = layers[0][0].shape[0], layers[-1][0].shape[1]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("windows", TensorProto.FLOAT, ["batch", wide_in])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["batch", wide_out])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="foreshock")
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def layers_of(net):
    """Layers of a scikit-learn MLP, its output as raw numbers."""
    name = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid", "identity": None}[net.activation]
    acts = [name] * (len(net.coefs_) - 1) + [None]
    return list(zip(net.coefs_, net.intercepts_, acts, strict=True))


def run(model_bytes, rows):
    """Outputs as onnxruntime gives them."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model_bytes, options, providers=["CPUExecutionProvider"])
    return session.run(["out"], {"windows": np.asarray(rows, np.float32)})[0]


def write_onnx(folder, card, model_bytes, golden):
    """Writes the package; digest, widths and opsets are filled in. `golden`: input rows, some dozens."""
    os.makedirs(folder, exist_ok=True)
    golden = np.asarray(golden, np.float32)
    outputs = run(model_bytes, golden)
    with open(os.path.join(folder, "model.onnx"), "wb") as file:
        file.write(model_bytes)
    card = {
        **card,
        "format": "onnx",
        "input": {"name": "windows", "width": int(golden.shape[1]), **card["input"]},
        "output": {"name": "out", "width": int(outputs.shape[1]), **card["output"]},
        "opsets": {"ai.onnx": OPSET},
        "digest": f"sha256:{hashlib.sha256(model_bytes).hexdigest()}",
    }
    write_json(os.path.join(folder, "card.json"), card)
    write_json(os.path.join(folder, "golden.json"), {"inputs": numbers(golden), "outputs": numbers(outputs)}, None)
    return card


def numbers(rows):
    """Nine digits bring every float32 back as it was."""
    return [[float(f"{value:.9g}") for value in row] for row in rows.astype(np.float64)]


def write_json(path, value, indent=2):
    with open(path, "w") as file:
        json.dump(value, file, indent=indent)
        file.write("\n")
