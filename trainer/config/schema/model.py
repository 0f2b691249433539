"""Which model is trained, and how its parts are found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.config.schema.base import Section

Dtype = Literal["bf16", "fp16", "fp32"]


class ComponentConfig(Section):
    """Another place or precision for one component."""

    path: str | None = Field(default=None, json_schema_extra={"path": "model"})
    """Folder, single file or hub id of this component; default: that of the model."""
    subfolder: str | None = None
    """Folder of the component below `path`; default: the pipeline's usual one."""
    dtype: Dtype | None = None
    """Precision in which the component is loaded; default: the family's choice."""


class ComponentsConfig(Section):
    """Components that may come from elsewhere."""

    denoiser: ComponentConfig = ComponentConfig()
    """The trained network (UNet or transformer)."""
    vae: ComponentConfig = ComponentConfig()
    """The autoencoder between pixels and latents."""


class FluxOptions(Section):
    """Options that only Flux understands."""

    attention_mask: bool = False
    """Hide padding tokens of the T5 text from attention, in training and in sampling."""
    guidance: float = Field(default=1.0, ge=0.0)
    """Guidance scalar fed while training, for checkpoints that take one."""


class FamilyOptions(Section):
    """Options of single families."""

    flux: FluxOptions = FluxOptions()
    """Flux only."""


class ModelConfig(Section):
    """Family, weights and training mode."""

    family: str
    """Model family: see `stune explain model.family`."""
    flavour: str | None = None
    """Published checkpoint of the family; sets `path` and defaults."""
    mode: Literal["adapter", "full"] = "adapter"
    """Train a small adapter, or all weights of the denoiser."""
    path: str | None = Field(default=None, json_schema_extra={"path": "model"})
    """Folder in diffusers layout, single .safetensors file, or hub id; default: by flavour."""
    revision: str | None = None
    """Revision of the hub repository."""
    variant: str | None = None
    """Weight variant of the repository, such as fp16."""
    prediction_type: Literal["epsilon", "v_prediction"] | None = None
    """What the denoiser predicts; default: as the checkpoint's scheduler says (UNets only)."""
    zero_terminal_snr: bool = False
    """Rescale the noise schedule to end in pure noise; needs v_prediction (UNets only)."""
    max_tokens: int | None = Field(default=None, ge=8, le=1024)
    """Length of the T5 text in tokens; default: by flavour (Flux only)."""
    components: ComponentsConfig = ComponentsConfig()
    """Components from other places or in other precisions."""
    options: FamilyOptions = FamilyOptions()
    """Options of single families."""
