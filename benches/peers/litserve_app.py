"""LitServe with Pillow, NumPy and an engine.

MODEL_DIR=… ENGINE=onnx|torch [BATCH=8] python benches/peers/litserve_app.py PORT

One worker, as there is one core; `BATCH` lets it put so many waiting requests into one run of the model.
"""

import os
import sys

import litserve
import numpy as np
import vision
from fastapi import HTTPException


class Classifier(litserve.LitAPI):
    def setup(self, device):
        self.model = vision.load_model()

    def decode_request(self, request):
        try:
            return vision.prepare(vision.decoded(request["image"]))
        except Exception as error:
            raise HTTPException(400, f"Invalid image file: {error}") from error

    def batch(self, inputs):
        return np.concatenate(inputs)

    def predict(self, x):
        return self.model(x)

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return vision.answer(output.reshape(-1))


if __name__ == "__main__":
    batch = int(os.environ.get("BATCH", "1"))
    # What waits is taken at once; a longer wait for a full batch only idles under this load.
    api = Classifier(max_batch_size=batch, batch_timeout=0.001 if batch > 1 else 0.0)
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=1, timeout=120)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
