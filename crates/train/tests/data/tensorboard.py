"""A record as tensorboard writes it: writes tensorboard.bin. With a run's directory as argument: reads its events back.

Run: python tensorboard.py [RUN]   (tensorboard 2.x)
"""

import pathlib
import sys

# This file has the package's name.
sys.path = [p for p in sys.path if pathlib.Path(p or ".").resolve() != pathlib.Path(__file__).resolve().parent]

if len(sys.argv) > 1:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(sys.argv[1])
    events.Reload()
    for tag in events.Tags()["scalars"]:
        print(tag, [(e.step, round(e.value, 4)) for e in events.Scalars(tag)])
    for tag in events.Tags()["images"]:
        print(tag, [(e.step, e.width, e.height, e.encoded_image_string[:4]) for e in events.Images(tag)])
else:
    import io

    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.summary.writer.record_writer import RecordWriter

    value = summary_pb2.Summary.Value(tag="val/loss", simple_value=0.25)
    event = event_pb2.Event(wall_time=12.5, step=3, summary=summary_pb2.Summary(value=[value]))
    out = io.BytesIO()
    RecordWriter(out).write(event.SerializeToString())
    pathlib.Path(__file__).with_name("tensorboard.bin").write_bytes(out.getvalue())
