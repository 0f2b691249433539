"""The control net that is trained when `model.mode` is controlnet."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section, changes

_SIZE = changes("memory", "time", "disk", "result")


class ControlNetConfig(Section):
    """A network beside the frozen model that looks at a picture."""

    path: str | None = Field(default=None, json_schema_extra=changes("result", path="model"))
    """Folder or hub id of a control net to continue from; default: a new one from the model."""
    layers: int | None = Field(default=None, ge=1, le=100, json_schema_extra=_SIZE)
    """Blocks of the model that a new net copies; default by family (UNets: the way down)."""
    single_layers: int | None = Field(default=None, ge=0, le=100, json_schema_extra=_SIZE)
    """The same of the model's second kind of blocks (Flux: those of one stream)."""
