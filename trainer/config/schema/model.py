"""Which model is trained, and how its parts are found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.assistant import AssistantConfig
from trainer.config.schema.base import Section, changes
from trainer.config.schema.controlnet import ControlNetConfig
from trainer.config.schema.families.all import FamilyOptions

Dtype = Literal["bf16", "fp16", "fp32"]


class ComponentConfig(Section):
    """Another place or precision for one component."""

    path: str | None = Field(default=None, json_schema_extra=changes("result", path="model"))
    """Folder, single file or hub id of this component; default: that of the model."""
    subfolder: str | None = Field(default=None, json_schema_extra=changes("result"))
    """Folder of the component below `path`; default: the pipeline's usual one."""
    dtype: Dtype | None = Field(default=None, json_schema_extra=changes("memory", "result"))
    """Precision in which the component is loaded; default: the family's choice."""


class VaeConfig(ComponentConfig):
    """The autoencoder, and how it spares memory."""

    slicing: bool = Field(default=False, json_schema_extra=changes("memory", "time"))
    """Code one picture after the other instead of a whole batch."""
    tiling: bool = Field(default=False, json_schema_extra=changes("memory", "time", "result"))
    """Code large pictures in overlapping tiles; seams differ a little from whole pictures."""


class ComponentsConfig(Section):
    """Components that may come from elsewhere."""

    denoiser: ComponentConfig = Field(default_factory=ComponentConfig)
    """The trained network (UNet or transformer)."""
    vae: VaeConfig = Field(default_factory=VaeConfig)
    """The autoencoder between pixels and latents."""


class ModelConfig(Section):
    """Family, weights and training mode."""

    family: str = Field(json_schema_extra=changes("memory", "time", "disk", "result"))
    """Model family."""
    flavour: str | None = Field(default=None, json_schema_extra=changes("result"))
    """Published checkpoint of the family; sets `path` and some defaults."""
    mode: Literal["adapter", "full", "controlnet"] = Field(
        default="adapter", json_schema_extra=changes("memory", "disk", "result")
    )
    """Train a small adapter, all weights of the denoiser, or a control net beside it."""
    path: str | None = Field(default=None, json_schema_extra=changes("result", path="model"))
    """Folder in diffusers layout, single .safetensors file, or hub id; default: by flavour."""
    revision: str | None = Field(default=None, json_schema_extra=changes("result"))
    """Revision of the hub repository."""
    variant: str | None = Field(default=None, json_schema_extra=changes("disk"))
    """Weight variant of the repository, such as fp16."""
    prediction_type: Literal["epsilon", "v_prediction"] | None = Field(
        default=None, json_schema_extra=changes("result")
    )
    """What the denoiser predicts; default: as the checkpoint's scheduler says (UNets only)."""
    zero_terminal_snr: bool = Field(default=False, json_schema_extra=changes("result"))
    """Rescale the noise schedule to end in pure noise; needs v_prediction (UNets only)."""
    max_tokens: int | None = Field(
        default=None, ge=8, le=1024, json_schema_extra=changes("memory", "time", "result")
    )
    """Tokens of a caption that are read; default: by family and flavour (UNets read 77)."""
    components: ComponentsConfig = Field(default_factory=ComponentsConfig)
    """Components from other places or in other precisions."""
    assistant: AssistantConfig = Field(default_factory=AssistantConfig)
    """Adapter that helps to train another one on a distilled checkpoint."""
    controlnet: ControlNetConfig = Field(default_factory=ControlNetConfig)
    """The control net, when mode is controlnet."""
    options: FamilyOptions = Field(default_factory=FamilyOptions)
    """Options of single families."""
