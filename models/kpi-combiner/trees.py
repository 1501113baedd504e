"""LightGBM's trees as one ONNX TreeEnsembleRegressor, written node by node."""

import numpy as np
import onnx
from onnx import TensorProto, helper

OPSET = 17
OPSET_ML = 3


def float_below(value):
    """The largest float32 not above a float64: x <= t then means the same for every float32 x."""
    near = np.float32(value)
    return float(near if float(near) <= value else np.nextafter(near, np.float32(-np.inf)))


def to_onnx(booster, width, scale, title):
    """A model from `views` [batch, width] to `log_factor` [batch, 1]: `scale` times the booster's raw score."""
    keys = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
    nodes = {key: [] for key in (*keys, "missing_value_tracks_true")}
    target = {"treeids": [], "nodeids": [], "ids": [], "weights": []}

    def add(tree, node, free):
        own = free[0]
        free[0] += 1
        if "leaf_value" in node:
            row = (tree, own, 0, "LEAF", 0.0, 0, 0, 0)
            target["treeids"].append(tree)
            target["nodeids"].append(own)
            target["ids"].append(0)
            target["weights"].append(float(np.float32(scale * node["leaf_value"])))
        else:
            assert node["decision_type"] == "<="
            missing = 1 if node["missing_type"] == "NaN" and node["default_left"] else 0
            # Without NaN in training LightGBM takes a NaN for 0.
            if node["missing_type"] == "None":
                missing = 1 if 0 <= node["threshold"] else 0
            row = [tree, own, node["split_feature"], "BRANCH_LEQ", float_below(node["threshold"]), 0, 0, missing]
        place = len(nodes["nodeids"])
        for key, value in zip((*keys, "missing_value_tracks_true"), row):
            nodes[key].append(value)
        if "leaf_value" not in node:
            nodes["truenodeids"][place] = add(tree, node["left_child"], free)
            nodes["falsenodeids"][place] = add(tree, node["right_child"], free)
        return own

    for tree, info in enumerate(booster.dump_model()["tree_info"]):
        add(tree, info["tree_structure"], [0])
    ensemble = helper.make_node(
        "TreeEnsembleRegressor",
        ["views"],
        ["log_factor"],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        post_transform="NONE",
        **{f"nodes_{key}": value for key, value in nodes.items()},
        **{f"target_{key}": value for key, value in target.items()},
    )
    graph = helper.make_graph(
        [ensemble],
        title,
        [helper.make_tensor_value_info("views", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("log_factor", TensorProto.FLOAT, ["batch", 1])],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", OPSET_ML)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="foreshock")
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model
