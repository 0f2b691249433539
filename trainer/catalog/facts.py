"""What is known of a model family without loading it (families.md §1.2).

Frozen, torch-free records: the linter, the presets, the planner and the clients read them. Values
that live in a checkpoint's own configuration (scaling factors, schedules) are read there at run
time and are not repeated here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any, Literal


class Prediction(StrEnum):
    EPSILON = "epsilon"
    V = "v_prediction"
    FLOW = "flow"


class Packing(StrEnum):
    NONE = "none"
    TWO_BY_TWO = "two_by_two"


# Class names in whose modules LyCORIS adapts all layers; fits most families (families.md §7).
USUAL_LYCORIS = {"attention": ("*Attention",), "attention+ffs": ("*Attention", "*FeedForward")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """One published checkpoint of a family."""

    repo: str
    licence: str
    gated: bool = False
    subfolder: str | None = None
    edits: bool = False  # made for pictures: its text encoder sees what a sample is made from
    max_references: int | None = None  # of a sample; None: as many as there is memory for
    cut_alike: bool = False  # the reference is laid over the noisy picture, so it has its size
    pipeline_class: str | None = None  # dotted, where it is another than the family's
    denoiser_config: dict[str, Any] = field(default_factory=dict)  # in place of the family's
    prediction: Prediction | None = None
    conditioning: bool | None = None  # needs a partner of each sample; None: as its family does
    defaults: dict[str, Any] = field(default_factory=dict)  # key path -> value


@dataclass(frozen=True, slots=True, kw_only=True)
class TextEncoderFact:
    """One text encoder slot of the pipeline."""

    slot: str
    model_class: str | None  # None: the denoiser reads token ids
    tokenizer_slot: str
    tokenizer_class: str
    max_tokens: int
    optional: bool = False  # a checkpoint may say that it has none
    repo: str | None = None  # where it lies when the checkpoint has no such folder
    place_option: str | None = None  # key below `model` by which a job names another place
    pipeline: str | None = None  # only in checkpoints of this pipeline class
    states: int = 1  # hidden states that are kept of it


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEncoderFact:
    """An encoder whose embedding of a picture the denoiser is told."""

    slot: str
    model_class: str
    processor_slot: str
    processor_class: str
    of: Literal["sample", "reference"]  # the trained picture itself, or what it is made from


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
    vae_class: str | None  # None: the denoiser works on pixels
    text_encoders: tuple[TextEncoderFact, ...]
    image_encoder: ImageEncoderFact | None = None
    processor_slot: str | None = None  # how the text encoder is shown pictures, where it sees any
    processor_class: str = "transformers.Qwen2VLImageProcessor"
    token_limit: int | None = None  # of model.max_tokens; None: as the encoders, at least 512
    pipeline_class: str
    flavours: dict[str, Flavour]
    default_flavour: str
    prediction: Prediction
    continuous_time: bool = False  # noise levels are 0..1 of a cosine schedule, though not flow
    latent_channels: int
    spatial_factor: int | Fraction  # pixels along one side of a latent pixel
    latent_multiple: int = 2  # of which the sides of latents are multiples when sampling
    frame_stride: int = 1  # of videos: frames are frame_offset + k x frame_stride
    frame_offset: int = 0
    packing: Packing = Packing.NONE  # latent pixels that make one token
    latent_stat: str = "sample"  # of the VAE posterior, for the training cache
    vae_deterministic: bool = False  # it gives one latent, not a distribution of them
    vae_fp32: bool = False
    vae_file: str | None = None  # its one file, where diffusers has no class for it
    fp32_weights: bool = False  # the base may not be kept in a lower precision
    pixel_multiple: int = 64
    max_side: int | None = None  # pixels: the denoiser knows no positions beyond
    default_resolution: int = 1024
    guidance: float = 7.5  # usual at validation
    validation_steps: int = 28  # usual of its sampler there
    sigma_sampling: str | None = None  # None: discrete uniform times
    shift: float | str | None = None
    sigma_warp: str | None = None  # what follows the sigmoid density; see trainer.objective.flow
    lora_targets: dict[str, tuple[str, ...]]  # preset -> module name suffixes
    default_targets: str
    lycoris_targets: dict[str, tuple[str, ...]] = field(default_factory=dict)  # preset -> classes
    layouts: tuple[str, ...] = ("diffusers", "comfyui")  # of adapter files that a program loads
    comfyui_prefix: str | None = None  # of module names there; None: the denoiser slot
    comfyui_names: tuple[tuple[str, str], ...] = ()  # parts of module names that differ there
    comfyui_native: Native | None = None  # where ComfyUI knows the original layers alone
    diffusers_reads_alpha: bool = True  # whether its loader takes `<module>.alpha` tensors
    control_layers: dict[str, int] = field(default_factory=dict)  # kinds of blocks that a control
    # net copies -> how many it usually does; keys of [model.controlnet]
    checkpoint_blocks: bool = True
    attention_kernels: bool = True  # its attention takes another kernel (diffusers' dispatch)
    quant_levels: frozenset[str] = frozenset({"int8"})  # a base in these keeps its quality
    quant_refused: frozenset[str] = frozenset()  # levels that spoil it
    supports: frozenset[str] = frozenset()

    def looks_at_pictures(self, flavour: str | None) -> bool:
        """Whether samples may be made from pictures; None stands for the default flavour."""
        chosen = self.flavours.get(flavour or self.default_flavour)
        if chosen is not None and chosen.conditioning is not None:
            return chosen.conditioning
        return "conditioning" in self.supports or (chosen is not None and chosen.edits)

    @property
    def editing(self) -> tuple[str, ...]:
        """Flavours that are made for pictures."""
        return tuple(name for name, flavour in self.flavours.items() if flavour.edits)

    @property
    def whole_pixels(self) -> int:
        """Sides in multiples of it are whole numbers of latent pixels."""
        return self.spatial_factor.numerator

    @property
    def size_multiple(self) -> int:
        """What the denoiser needs widths and heights to be multiples of."""
        if self.vae_class is None:
            return self.pixel_multiple
        return self.whole_pixels * (2 if self.packing is Packing.TWO_BY_TWO else 1)

    @property
    def sample_multiple(self) -> int:
        """Sides of drawn pictures: whole numbers of what the pipeline steps by; of pixels, what
        the denoiser needs."""
        if self.vae_class is None:
            return self.pixel_multiple
        step = int(self.latent_multiple * self.spatial_factor)
        return max(self.whole_pixels, min(step, self.pixel_multiple))

    @property
    def lycoris_presets(self) -> dict[str, tuple[str, ...]]:
        """Preset -> class names of modules; `*` stands for anything."""
        return self.lycoris_targets or USUAL_LYCORIS

    @property
    def default_lycoris(self) -> str:
        """Attention and feed-forward layers where there is such a preset, else the first."""
        presets = self.lycoris_presets
        return "attention+ffs" if "attention+ffs" in presets else next(iter(presets))
