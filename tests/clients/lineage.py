"""Whether events are what OpenLineage's specification says, asked of a schema that is not ours.

lineage.py generate > tests/frozen/openlineage/run-event.json
    The JSON Schema of a RunEvent and of the facets that Tripline writes, made of the classes that
    OpenLineage generates from its specification: PyPI openlineage-python 1.54.0, Apache-2.0. It is
    stricter than the specification: a member that a class does not have is refused.
lineage.py check SCHEMA EVENTS
    EVENTS has a JSON event in each line. Prints what is wrong; ends with 1 if anything is.
"""

import json
import sys

# What a facet is called within its object, and its class. The first part is the object.
FACETS = {
    "Run": {"processing_engine": "processing_engine_run.ProcessingEngineRunFacet",
            "errorMessage": "error_message_run.ErrorMessageRunFacet"},
    "Job": {"jobType": "job_type_job.JobTypeJobFacet"},
    "Dataset": {"schema": "schema_dataset.SchemaDatasetFacet",
                "version": "dataset_version_dataset.DatasetVersionDatasetFacet",
                "columnLineage": "column_lineage_dataset.ColumnLineageDatasetFacet"},
    "Input": {"inputStatistics": "input_statistics_input_dataset.InputStatisticsInputDatasetFacet",
              "dataQualityAssertions": "data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet"},
    "Output": {"outputStatistics": "output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet"},
}
# Formats of the specification, as patterns, because validators need packages for them.
URI = {"type": "string", "pattern": r"^[a-z][a-z0-9+.-]*:[!-~]+$"}
FORMATS = {
    "eventTime": {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$"},
    "runId": {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"},
    "producer": URI,
    "_producer": URI,
}
# What the specification says in words of classes.
MINIMA = {"windowDuration": 1, "ordinal_position": 1, "rowCount": 0}
WORDS = {("Transformation", "type"): ["DIRECT", "INDIRECT"]}
REQUIRED = {"EmissionPattern": ["windowDuration"]}
# Our own facet: OpenLineage has no word for offsets.
NUMBER = {"type": "integer", "minimum": 0}
OFFSETS = {
    "type": "object",
    "properties": {
        "_producer": URI,
        "_schemaURL": {"const": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/InputDatasetFacet"},
        "offsets": {"type": "array", "items": {
            "type": "object",
            "properties": {"partition": NUMBER, "from": NUMBER, "to": NUMBER},
            "required": ["partition", "from", "to"],
            "additionalProperties": False,
        }},
    },
    "required": ["_producer", "_schemaURL", "offsets"],
    "additionalProperties": False,
}


def generate():
    import enum
    import importlib
    import typing
    from types import NoneType, UnionType

    import attr

    base = importlib.import_module("openlineage.client.generated.base")
    definitions = {}

    def facets(of, also=()):
        names = {}
        for name, path in FACETS[of].items():
            module, kind = path.split(".")
            names[name] = reference(getattr(importlib.import_module(f"openlineage.client.generated.{module}"), kind))
        return {"type": "object", "properties": {**names, **dict(also)}, "additionalProperties": False}

    def reference(kind):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}
            definitions[kind.__name__] = object_of(kind)
        return {"$ref": f"#/$defs/{kind.__name__}"}

    def schema_of(hint):
        origin, inner = typing.get_origin(hint), typing.get_args(hint)
        if origin in (typing.Union, UnionType):
            [hint] = [one for one in inner if one is not NoneType]
            return schema_of(hint)
        if origin is list:
            return {"type": "array", "items": schema_of(inner[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": schema_of(inner[1])}
        plain = {str: "string", bool: "boolean", int: "integer", float: "number"}
        if hint in plain:
            return {"type": plain[hint]}
        if hint is typing.Any:
            return {}
        if issubclass(hint, enum.Enum):
            return {"enum": [one.value for one in hint]}
        return reference(hint)

    def object_of(kind):
        module = sys.modules[kind.__module__]
        hints = typing.get_type_hints(kind, {**vars(base), **vars(module)})
        properties, required = {}, list(REQUIRED.get(kind.__name__, []))
        for field in attr.fields(kind):
            name, hint = field.name, hints[field.name]
            if (kind.__name__, name) in WORDS:
                one = {"enum": WORDS[kind.__name__, name]}
            elif name in ("schemaURL", "_schemaURL"):
                one = {"const": kind._get_schema()}
            elif name == "facets" and kind is base.Run:
                one = facets("Run")
            elif name == "facets" and kind is base.Job:
                one = facets("Job")
            elif name == "facets":
                one = facets("Dataset")
            elif name == "inputFacets":
                one = facets("Input", [("tripline_offsets", OFFSETS)])
            elif name == "outputFacets":
                one = facets("Output")
            else:
                one = FORMATS.get(name) or schema_of(hint)
            if name in MINIMA:
                one = {**one, "minimum": MINIMA[name]}
            properties[name] = one
            # Classes fill in these four; in an event they must stand. An event without its kind says nothing.
            if field.default is attr.NOTHING or name in ("_producer", "_schemaURL", "producer", "schemaURL", "eventType"):
                required.append(name)
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Made by tests/clients/lineage.py of PyPI openlineage-python 1.54.0, which is "
                    "Copyright 2018-2026 contributors to the OpenLineage project, Apache-2.0.",
        **reference(base.RunEvent),
        "$defs": definitions,
    }
    print(json.dumps(schema, indent=1))
    return 0


def check(schema_path, events_path):
    from jsonschema import Draft202012Validator

    with open(schema_path, encoding="utf-8") as file:
        schema = json.load(file)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    with open(events_path, encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    facets = set()
    wrong = []
    for i, event in enumerate(events):
        wrong += [f"event {i}: {error.json_path}: {error.message}"[:300] for error in validator.iter_errors(event)]
        places = [event["run"], event["job"], *event["inputs"], *event["outputs"]]
        for place in places:
            for of in ("facets", "inputFacets", "outputFacets"):
                facets.update(place.get(of, {}))
        # A validator that refuses nothing would prove nothing.
        for path in (["run", "runId"], ["job", "facets", "jobType", "integration"], ["outputs", 0, "name"]):
            spoiled = json.loads(json.dumps(event))
            place = spoiled
            for part in path[:-1]:
                place = place[part]
            del place[path[-1]]
            if validator.is_valid(spoiled):
                wrong.append(f"event {i} is valid without {path}")
    print("\n".join(wrong) or f"{len(events)} valid events with {', '.join(sorted(facets))}")
    return 1 if wrong or not events else 0


if __name__ == "__main__":
    sys.exit({"generate": generate, "check": check}[sys.argv[1]](*sys.argv[2:]))
