"""An adapter that acts only while another one is trained."""

from __future__ import annotations

from pydantic import Field

from trainer.config.schema.base import Section, changes


class AssistantConfig(Section):
    """Frozen adapter beside the trained one, as distilled checkpoints need it: it undoes their
    distillation in training, so that the trained adapter does not have to; it is in no picture
    and in no file."""

    enabled: bool = Field(default=True, json_schema_extra=changes("memory", "time", "result"))
    """Use it where there is one."""
    path: str | None = Field(default=None, json_schema_extra=changes("result", path="model"))
    """Adapter file, folder or hub id; default: by flavour."""
    weight_name: str | None = Field(default=None, json_schema_extra=changes("result"))
    """File in the folder or repository; default: the only .safetensors file there."""
    strength: float = Field(default=1.0, json_schema_extra=changes("result"))
    """How much it acts in training."""
    inference_strength: float = Field(default=0.0, json_schema_extra=changes("time"))
    """How much it acts in validation pictures; users of the trained adapter will not have it."""
