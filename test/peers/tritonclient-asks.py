"""Asks a server as users of NVIDIA's Triton client do, and prints what came back as one line of JSON."""

import json
import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

url, key = sys.argv[1], sys.argv[2]
client = triton.InferenceServerClient(url=url, concurrency=4)
rows = np.array([[1, 2, 3], [0, -1, 0.5]], dtype=np.float32)
seen = {}


def auth():
    """New each time: the client writes headers of its own into what it is given."""
    return {"authorization": f"Bearer {key}"}


def tensor(values, kind, binary=True):
    made = triton.InferInput("x", list(values.shape), kind)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def ask(values=rows, kind="FP32", binary=True, model="sum", **more):
    answer = client.infer(model, [tensor(values, kind, binary)], headers=auth(), **more)
    return answer.as_numpy("y").tolist(), answer.get_response()


def error(work):
    try:
        work()
    except InferenceServerException as raised:
        return [raised.status(), raised.message()]
    return None


seen["live"] = client.is_server_live()
seen["ready"] = client.is_server_ready()
seen["server"] = client.get_server_metadata(headers=auth())
seen["model_ready"] = [client.is_model_ready("sum", version, headers=auth()) for version in ("", "1", "3")]
seen["model"] = client.get_model_metadata("sum", headers=auth())
seen["index"] = client.get_model_repository_index(headers=auth())

seen["binary"], seen["binary_response"] = ask(request_id="7")
seen["json_in"] = ask(binary=False)[0]
outputs = [triton.InferRequestedOutput("y", binary_data=False)]
seen["json_out"] = ask(outputs=outputs)[0]
seen["json_both"] = ask(binary=False, outputs=outputs)[0]
seen["binary_asked"] = ask(outputs=[triton.InferRequestedOutput("y", binary_data=True)])[0]
for name in ("gzip", "deflate"):
    seen[name] = ask(request_compression_algorithm=name, response_compression_algorithm=name)[0]
seen["version"] = ask(model_version="2")[1]["model_version"]
for kind, dtype in (("FP64", np.float64), ("INT32", np.int32), ("INT64", np.int64), ("UINT8", np.uint8), ("FP16", np.float16)):
    seen[kind] = ask(np.array([[1, 2, 4]], dtype=dtype), kind)[0]
nan = ask(np.array([[np.nan, 0, 0]], dtype=np.float32))[0]
seen["nan"] = [bool(np.isnan(nan[0][0]))]

many = [client.async_infer("sum", [tensor(np.full((1, 3), i, np.float32), "FP32")], headers=auth()) for i in range(40)]
seen["many"] = [one.get_result().as_numpy("y")[0][0].item() for one in many]

client.load_model("sum", headers=auth())
client.load_model("other", headers=auth())
seen["loaded"] = ask(model="other")[0]
client.unload_model("other", headers=auth())
seen["unloaded"] = client.is_model_ready("other", headers=auth())
seen["errors"] = {
    "unknown": error(lambda: ask(model="none")),
    "not loaded": error(lambda: ask(model="other")),
    "shape": error(lambda: ask(np.ones((2, 2), np.float32))),
    "lossy": error(lambda: ask(np.full((1, 3), 0.1), "FP64")),
    "text": error(lambda: ask(np.array([[b"a", b"b", b"c"]], dtype=np.object_), "BYTES")),
    "no key": error(lambda: client.infer("sum", [tensor(rows, "FP32")])),
    "no such model to load": error(lambda: client.load_model("none", headers=auth())),
}
print(json.dumps(seen))
