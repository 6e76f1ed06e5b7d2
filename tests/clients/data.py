"""Values of every type, images, and what the models make of them."""

import base64
import io
import json
import urllib.request

import ml_dtypes
import numpy as np
from PIL import Image
from tritonclient.utils import InferenceServerException

LABELS = ["red", "green", "blue"]
PIXELS = {"red": (250, 10, 20), "green": (10, 250, 20), "blue": (20, 10, 250)}

BYTES = np.array([[b"one", b"", "zwölf".encode()]], dtype=np.object_)
VALUES = {
    "BOOL": np.array([[True, False, True]]),
    "UINT8": np.array([[0, 7, 255]], np.uint8),
    "UINT16": np.array([[0, 7, 65535]], np.uint16),
    "UINT32": np.array([[0, 7, 2**32 - 1]], np.uint32),
    "UINT64": np.array([[0, 7, 2**64 - 1]], np.uint64),
    "INT8": np.array([[-128, 7, 127]], np.int8),
    "INT16": np.array([[-(2**15), 7, 2**15 - 1]], np.int16),
    "INT32": np.array([[-(2**31), 7, 2**31 - 1]], np.int32),
    "INT64": np.array([[-(2**63), 7, 2**63 - 1]], np.int64),
    "FP16": np.array([[0.5, -2.25, 65504]], np.float16),
    "BF16": np.array([[0.5, -2.25, 1e30]], ml_dtypes.bfloat16),
    "FP32": np.array([[0.1, -2.25, 3e38]], np.float32),
    "FP64": np.array([[0.1, -2.25, 1e308]], np.float64),
    "BYTES": BYTES,
}
# Types that JSON carries for Triton's client.
IN_JSON = [name for name in VALUES if name not in ("FP16", "BF16")]


def png(label):
    file = io.BytesIO()
    Image.new("RGB", (16, 12), PIXELS[label]).save(file, "png")
    return file.getvalue()


def probabilities(label):
    """The softmax of the means of the channels."""
    e = np.exp(np.array(PIXELS[label], np.float64) / 255)
    return e / e.sum()


def image_tensor(label, as_text=False):
    content = png(label)
    return np.array([[base64.b64encode(content) if as_text else content]], dtype=np.object_)


def same(a, b):
    assert a.shape == b.shape, (a.shape, b.shape)
    assert np.array_equal(a, b), (a, b)


def refused(call, *words, status=None):
    """The call fails with these words in its error."""
    try:
        call()
    except InferenceServerException as error:
        text = str(error)
        assert all(word in text for word in words), text
        assert status is None or error.status() == status, error.status()
        return text
    raise AssertionError(f"not refused: {words}")


def http(url, body=None, headers=None, method=None):
    """Status, headers and body of a bare request."""
    request = urllib.request.Request(f"http://{url}", data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def http_json(url, body=None, **rest):
    status, _, text = http(url, None if body is None else json.dumps(body).encode(), **rest)
    return status, json.loads(text) if text else None
