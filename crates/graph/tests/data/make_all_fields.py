"""Writes all_fields.onnx: a model with every field of onnx.proto set to something other than its default.

python make_all_fields.py, with Python's onnx 1.23. The test reads it, writes it and expects the same bytes, in any order.
"""
from pathlib import Path

import onnx
from google.protobuf.descriptor import FieldDescriptor as F

counter = 0
seen = set()


def fill(message, depth):
    """Sets every field; oneofs take a member not seen yet or in turn, messages within themselves end at a depth."""
    global counter
    for oneof in message.DESCRIPTOR.oneofs:
        counter += 1
        unseen = [f for f in oneof.fields if f.full_name not in seen]
        member = (unseen or oneof.fields)[counter % len(unseen or oneof.fields)]
        if member.message_type and depth > 5:
            member = oneof.fields[0]
        put(message, member, depth)
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof is None:
            put(message, field, depth)


def put(message, field, depth):
    global counter
    seen.add(field.full_name)
    if field.message_type:
        if depth > 5 and field.message_type.name not in ("Tensor", "TensorShapeProto", "Dimension"):
            return
        target = getattr(message, field.name)
        if field.is_repeated:
            fill(target.add(), depth + 1)
        else:
            target.SetInParent()
            fill(target, depth + 1)
        return
    counter += 1
    if field.enum_type:
        numbers = [v.number for v in field.enum_type.values if v.number]
        value = numbers[counter % len(numbers)]
    elif field.cpp_type == F.CPPTYPE_STRING:
        value = f"s{counter}"
        value = value.encode() if field.type == F.TYPE_BYTES else value
    elif field.cpp_type in (F.CPPTYPE_FLOAT, F.CPPTYPE_DOUBLE):
        value = counter / 2
    else:
        value = counter
    if field.is_repeated:
        getattr(message, field.name).extend([value, value])
    else:
        setattr(message, field.name, value)


def every_field(message, found):
    """The full name of every field within reach of a message."""
    for field in message.fields:
        if field.full_name not in found:
            found.add(field.full_name)
            if field.message_type:
                every_field(field.message_type, found)
    return found


model = onnx.ModelProto()
fill(model, 0)
missed = every_field(model.DESCRIPTOR, set()) - seen
assert not missed, missed
path = Path(__file__).parent / "all_fields.onnx"
path.write_bytes(model.SerializeToString(deterministic=True))
print(path.stat().st_size, "bytes")
