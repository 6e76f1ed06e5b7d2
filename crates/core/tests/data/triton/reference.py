"""Writes reference.json: what Google's protobuf reads of texts in the format of config.pbtxt, with Triton's own message.

    pip install "tritonclient[grpc]" && python reference.py
"""

import json
import pathlib

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

HERE = pathlib.Path(__file__).parent
TEXTS = [path.read_text() for path in sorted(HERE.glob("*.pbtxt"))] + [
    "",
    "# only a comment",
    "name: 'a' 'b' \"c\"",
    "name: \"\\x41\\102\\n\\t\\\\\\'\\\"\"",
    "name: \"\\u00e9\"",
    "max_batch_size: 0x1F",
    "max_batch_size: 017",
    "max_batch_size: -3",
    "max_batch_size: - 3",
    "max_batch_size: 2147483647",
    "max_batch_size: 2147483648",
    "max_batch_size: 1.0",
    "max_batch_size: '4'",
    "max_batch_size 4",
    "max_batch_size: 4;",
    "max_batch_size: 4,",
    "max_batch_size: 4 max_batch_size: 5",
    "input { name: 'x' dims: [1, -1] } input: { name: 'y' dims: 1 dims: 2 }",
    "input [ { name: 'x' }, { name: 'y' } ]",
    "input: [ { name: 'x' } ]",
    "input[{name:'x'}]output[{name:'y'}]",
    "input [ { name: 'x' } { name: 'y' } ]",
    "input [ { name: 'x' }, ]",
    "input []",
    "input < name: 'x' >",
    "input { name: 'x' } }",
    "input { name: 'x'",
    "input { dims: [1, 2,] }",
    "input { dims: [] }",
    "input { dims [1, 2] }",
    "input { data_type: TYPE_FP32 format: FORMAT_NHWC }",
    "input { data_type: 11 }",
    "input { data_type: 99 }",
    "input { data_type: TYPE_FP31 }",
    "input { data_type: 'TYPE_FP32' }",
    "input { optional: true }",
    "input { optional: True }",
    "input { optional: t }",
    "input { optional: 1 }",
    "input { optional: yes }",
    "inputs { name: 'x' }",
    "dynamic_batching {}",
    "dynamic_batching: {}",
    "dynamic_batching: { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 18446744073709551615 }",
    "dynamic_batching { } sequence_batching { }",
    "dynamic_batching { priority_queue_policy { key: 1 value { max_queue_size: 2 timeout_action: DELAY } } "
    "priority_queue_policy [ { key: 10 value: {} }, { key: 9 } ] }",
    "version_policy: { latest: { num_versions: 2 } }",
    "version_policy { latest {} all {} }",
    "version_policy { specific { versions: [1, 3] } }",
    "optimization { graph { level: -1 } cuda { graphs: true graph_spec { batch_size: 1 input { key: 'x' value { dim: 3 } } } } }",
    "sequence_batching { direct { minimum_slot_utilization: 0.1 } control_input [ { name: 'S' control [ { kind: "
    "CONTROL_SEQUENCE_START fp32_false_true: [0, 1.5] } ] } ] }",
    "model_metrics { metric_control [ { metric_identifier { family: 'f' } histogram_options { buckets: [0.1, 1, 2.5e3] } } ] }",
    "parameters: { key: 'a' value: { string_value: '1' } } parameters { key: 'a' value { string_value: '2' } }",
    "parameters [ { key: 'b', value: { string_value: '1' } }, { value { } } ]",
    "model_warmup [ { name: 'w' batch_size: 1 inputs { key: 'x' value { data_type: TYPE_INT8 dims: [2] zero_data: true } } } ]",
    "platform: 'ensemble' ensemble_scheduling { step [ { model_name: 'a' model_version: -1 input_map { key: 'X' value: 'IN' } "
    "input_map { key: 'Y' value: 'IN' } output_map { key: 'Z' value: 'OUT' } } ] }",
    "metric_tags { key: 'k' value: 'v' } cc_model_filenames [ { key: '7.5' value: 'm.onnx' } ]",
    "instance_group [ { kind: KIND_GPU count: 2 gpus: [ 0, 1 ] rate_limiter { resources [ { name: 'R' count: 4 } ] priority: 2 } } ]",
]


def read(text):
    config = model_config_pb2.ModelConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError:
        return None
    # Numbers of 64 bits are strings in protobuf's JSON; Triton turns them into numbers again.
    shown = json_format.MessageToDict(config, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return numbers(shown, config.DESCRIPTOR)


def numbers(value, message):
    for field in message.fields:
        if field.name not in value:
            continue
        found = value[field.name]
        entry = field.message_type and field.message_type.GetOptions().map_entry
        kind = field.message_type.fields_by_name["value"] if entry else field
        one = lambda v: numbers(v, kind.message_type) if kind.message_type else int(v) if kind.cpp_type in (2, 4) else v
        if entry:
            value[field.name] = {key: one(v) for key, v in found.items()}
        else:
            value[field.name] = [one(v) for v in found] if isinstance(found, list) else one(found)
    return value


rows = [{"text": text, "json": read(text)} for text in TEXTS]
lines = ",\n".join(json.dumps(row, sort_keys=True) for row in rows)
(HERE / "reference.json").write_text(f"[\n{lines}\n]\n")
