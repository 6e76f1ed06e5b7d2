"""Values of Hydra's override grammar, read by Hydra's own parser; prints overrides.json.

pip install hydra-core==1.3.2
"""

import json

from hydra.core.override_parser.overrides_parser import OverridesParser

TEXTS = [
    "1", "-3", "+4", "1.5", "1e-3", "-2.5E+4", ".5", "5.", "null", "NULL", "true", "False", "yes", "abc", "a b c",
    "/data/some dir/x-1.jpg", "../up", "a:b", "http://host:80/x?y", "'1'", '"true"', "'a, b'", r"'it\'s'",
    "[]", "[1,2,3]", "[ 1 , a ]", "[a,[b,null]]", "['x,y',z]", "{}", "{a:1}", "{a: 1, b: {c: [x, 2]}}",
    "${data.path}", "${oc.env:HOME,x}/runs", "a${x}b", r"a\,b", "", "50%", "1_000", "v1.2.3", "2026-01-02",
]

parser = OverridesParser.create()


def plain(value):
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return getattr(value, "text", value)


print(json.dumps([[t, plain(parser.parse_override(f"k={t}")._value)] for t in TEXTS]).replace('], ["', '],\n["'))
