"""JSON Schema of a job file, for editors."""

from __future__ import annotations

from typing import Any

from trainer.config.docstrings import field_docs
from trainer.config.keys import all_keys
from trainer.config.schema.root import JobConfig

_INTERNAL = ("changes", "path")


def json_schema() -> dict[str, Any]:
    """Draft 2020-12 schema; `preset` is allowed at the top, and may supply any key."""
    schema = JobConfig.model_json_schema()
    sections = {JobConfig} | {key.owner for key in all_keys().values()}
    for section in sections:
        _describe(schema["$defs"].get(section.__name__, schema), field_docs(section))
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "SimpleTuner Terminal job"
    schema["properties"]["preset"] = {
        "description": "Name of a preset to build on, or the description of a preset file",
        "type": ["string", "object"],
    }
    del schema["required"], schema["$defs"]["ModelConfig"]["required"]
    return schema


def _describe(section: dict[str, Any], docs: dict[str, str]) -> None:
    for name, field in section["properties"].items():
        field["description"] = docs[name]
        for internal in _INTERNAL:
            field.pop(internal, None)
