"""What is known of a model family without loading it (families.md §1.2).

Frozen, torch-free records: the linter, the presets, the planner and the clients read them. Values
that live in a checkpoint's own configuration (scaling factors, schedules) are read there at run
time and are not repeated here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Prediction(StrEnum):
    EPSILON = "epsilon"
    V = "v_prediction"
    FLOW = "flow"


class Packing(StrEnum):
    NONE = "none"
    TWO_BY_TWO = "two_by_two"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """One published checkpoint of a family."""

    repo: str
    licence: str
    gated: bool = False
    subfolder: str | None = None
    prediction: Prediction | None = None
    defaults: dict[str, Any] = field(default_factory=dict)  # key path -> value


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoderFact:
    """One text encoder slot of the pipeline."""

    slot: str
    model_class: str
    tokenizer_slot: str
    tokenizer_class: str
    max_tokens: int
    optional: bool = False  # a checkpoint may say that it has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Native:
    """Layers of the original weights beside diffusers', by the endings of their names."""

    renamed: dict[str, str]  # diffusers' -> the original's
    fused: dict[str, tuple[str, ...]]  # the original's -> those of diffusers, as they are stacked


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyFacts:
    """Frozen description of a family; units: pixels, latent channels, tokens."""

    key: str
    display_name: str
    architecture: str  # name in the header of adapter files (modelspec.architecture)
    modality: str = "image"
    denoiser_slot: str  # "unet" or "transformer": pipeline attribute and sub-folder
    denoiser_class: str  # dotted
    denoiser_aliases: tuple[str, ...] = ()  # other class names in published configurations
    denoiser_config: dict[str, Any] = field(default_factory=dict)  # tells the family from kin
    learned_variance: bool = False  # the denoiser has twice the channels; the second half is unused
    vae_class: str
    text_encoders: tuple[TextEncoderFact, ...]
    pipeline_class: str
    flavours: dict[str, Flavour]
    default_flavour: str
    prediction: Prediction
    latent_channels: int
    spatial_factor: int
    latent_multiple: int = 2  # of which the sides of latents are multiples when sampling
    frame_stride: int = 1  # of videos: frames are frame_offset + k x frame_stride
    frame_offset: int = 0
    packing: Packing = Packing.NONE
    latent_stat: str = "sample"  # of the VAE posterior, for the training cache
    vae_deterministic: bool = False  # it gives one latent, not a distribution of them
    vae_fp32: bool = False
    longest_text: int = 512  # tokens that text encoder and denoiser can take
    pixel_multiple: int = 64
    default_resolution: int = 1024
    guidance: float = 7.5  # usual at validation
    validation_steps: int = 28
    sigma_sampling: str | None = None  # None: discrete uniform times
    shift: float | str | None = None
    lora_targets: dict[str, tuple[str, ...]]  # preset -> module name suffixes
    default_targets: str
    default_formats: tuple[str, ...] = ("diffusers", "comfyui")  # of adapter files
    comfyui_prefix: str | None = None  # of module names there; None: the denoiser slot
    comfyui_native: Native | None = None  # where ComfyUI knows the original layers alone
    diffusers_reads_alpha: bool = True  # whether its loader takes `<module>.alpha` tensors
    checkpoint_blocks: bool = True
    supports: frozenset[str] = frozenset()
