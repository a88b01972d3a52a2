"""The JSON Schema of the configuration, asked by a validator that is not ours.

schema.py SCHEMA EXAMPLE: the schema is one, the example keeps it, with every commented key too, and
each of the edits below is refused or taken as said. Prints what is wrong; ends with 1 if anything is.
"""

import copy
import json
import re
import sys
import tomllib

from jsonschema import Draft202012Validator

KAFKA = ("kafka",)
PROPERTIES = ("kafka", "properties")
STREAM = ("stream", 0)
ROUTE = ("route", 0)

# Where, which key, its new value (None: gone).
REFUSED = [
    ((), "instance", None),
    ((), "instance", "a name"),
    ((), "instence", "tripline-0"),
    ((), "stream", []),
    ((), "stream", {"name": "a"}),
    (KAFKA, "brokers", None),
    (KAFKA, "brokers", 9092),
    (KAFKA, "brokers", {"env": "A", "file": "b"}),
    (KAFKA, "brokers", {"variable": "A"}),
    (KAFKA, "commit_interval_ms", 0),
    (KAFKA, "commit_interval_ms", 60001),
    (KAFKA, "commit_interval_ms", "100ms"),
    (KAFKA, "session_timeout_ms", 5999.5),
    (PROPERTIES, "isolation.level", "read_uncommitted"),
    (PROPERTIES, "sasl.password", "hunter2"),
    (PROPERTIES, "ssl.Key.Password", "hunter2"),
    (PROPERTIES, "ssl", {"key": {"password": "hunter2"}}),
    (PROPERTIES, "fetch.min.bytes", [1]),
    (("admin",), "listen", "9090"),
    (STREAM, "bundle", None),
    (STREAM, "bundle", ""),
    (STREAM, "budget", 1),
    (STREAM, "budget", 0),
    (STREAM, "budget", "often"),
    (STREAM, "mode", "enforced"),
    (STREAM, "codec", "csv"),
    (STREAM, "workers", 65),
    (STREAM, "fields", ["amount"]),
    (STREAM, "fields", []),
    (STREAM, "shadow", True),
    (STREAM + ("topics",), "state", "a/b"),
    (STREAM + ("alerts",), "false_pages", "1/fortnight"),
    (STREAM + ("alerts",), "keep_firing_for", "1 hour"),
    ((), "route", []),
    (ROUTE, "kind", "pagerduty"),
    (ROUTE, "url", "http://me:hunter2@receiver"),
    (ROUTE, "url", "receiver:9093"),
    (ROUTE, "name", "a b"),
    (ROUTE, "streams", []),
    (ROUTE, "resend_ms", 5),
    (ROUTE, "timeout_ms", 30001),
    (ROUTE, "shadow", True),
]
TAKEN = [
    ((), "instance", {"env": "HOSTNAME"}),
    (KAFKA, "commit_interval_ms", 60000),
    (PROPERTIES, "sasl.password", {"file": "/run/keys/kafka"}),
    (PROPERTIES, "sasl", {"password": {"env": "A"}, "mechanism": "PLAIN"}),
    (PROPERTIES, "ssl", {"key": {"password": {"env": "A"}}}),
    (PROPERTIES, "fetch.min.bytes", 1),
    (STREAM, "budget", 0.01),
    (STREAM, "budget", "0.5 %"),
    (STREAM, "mode", {"env": "MODE"}),
    (STREAM, "fields", ["", "/a~1b/0", {"env": "A"}]),
    (STREAM + ("alerts",), "false_pages", "0.5 / month"),
    (STREAM + ("alerts",), "keep_firing_for", "90m"),
    (ROUTE, "url", "https://receiver/hook?key=1"),
    (ROUTE, "url", {"env": "HOOK"}),
    (ROUTE, "secret", {"file": "/run/keys/webhook"}),
]


def edited(document, where, key, value):
    document = copy.deepcopy(document)
    table = document
    for part in where:
        table = table[part]
    if value is None:
        del table[key]
    else:
        table[key] = value
    return document


def main(schema_path, example_path):
    with open(schema_path, encoding="utf-8") as file:
        schema = json.load(file)
    with open(example_path, encoding="utf-8") as file:
        text = file.read()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    wrong = []

    whole = re.sub(r"(?m)^# (?=\S+ = )", "", text)
    for name, toml in [("the example", text), ("the example with every key", whole)]:
        document = tomllib.loads(toml)
        wrong += [f"{name}: {error.json_path}: {error.message}" for error in validator.iter_errors(document)]
    example = tomllib.loads(text)
    for where, key, value in REFUSED:
        if validator.is_valid(edited(example, where, key, value)):
            wrong.append(f"not refused: {where} {key} = {value}")
    for where, key, value in TAKEN:
        for error in validator.iter_errors(edited(example, where, key, value)):
            wrong.append(f"not taken: {where} {key} = {value}: {error.message}")
    print("\n".join(wrong) or f"{len(REFUSED)} mistakes refused, {len(TAKEN)} ways to write taken")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
