"""FastAPI with Pillow, NumPy and an engine, as one would write it with care.

MODEL_DIR=… ENGINE=onnx|torch [ON_THE_LOOP=1] uvicorn --app-dir benches/peers fastapi_app:app --port 8001

The work runs in FastAPI's pool of threads, as its documentation advises; `ON_THE_LOOP=1` runs it on the event loop itself, which
on one core saves the changes of threads and makes `/health` wait.
"""

import os

import vision
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

app = FastAPI()
model = vision.load_model()


class Body(BaseModel):
    image: str


def classify(body: Body) -> dict:
    try:
        tensor = vision.prepare(vision.decoded(body.image))
    except Exception as error:
        raise HTTPException(400, f"Invalid image file: {error}") from error
    return vision.answer(model(tensor)[0])


async def classify_on_the_loop(body: Body) -> dict:
    return classify(body)


app.post("/predict")(classify_on_the_loop if os.environ.get("ON_THE_LOOP") else classify)


@app.get("/health")
async def health() -> str:
    return "ok"
