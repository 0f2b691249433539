"""JSON Schema of a job file, for editors."""

from __future__ import annotations

from typing import Any

from trainer.config.schema.root import JobConfig


def json_schema() -> dict[str, Any]:
    """Draft 2020-12 schema; `preset` and the preset's own table are allowed at the top."""
    schema = JobConfig.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "SimpleTuner Terminal job"
    schema["properties"]["preset"] = {
        "description": "Name of a preset to build on, or the description of a preset file",
        "type": ["string", "object"],
    }
    schema["required"] = []
    return schema
