"""The interface between the trainer and a model family.

A family translates between one canonical convention (families.md §1.1) and its denoiser: flow
time is sigma with 1 = noise, the flow target is `eps - x0`, latents are normalised and unpacked
`[B, C, h, w]`. Everything else in the trainer is free of family knowledge.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn

from trainer import catalog
from trainer.catalog.facts import FamilyFacts, Prediction
from trainer.config.schema.model import ModelConfig
from trainer.config.schema.root import JobConfig
from trainer.models import load
from trainer.models.condition import Condition
from trainer.models.identity import identity
from trainer.models.source import Source
from trainer.rng import normal

Which = Literal["text", "vae", "denoiser"]
TextEntry = dict[str, Tensor]

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """One validation picture; sizes in pixels."""

    width: int
    height: int
    steps: int
    guidance: float
    generator: torch.Generator
    output_type: str = "pil"


class Family(ABC):
    """One model being trained; `modules` holds what is loaded at the moment."""

    facts: FamilyFacts
    encode_version = 1  # part of cache keys: raise it when encoding changes

    def __init__(self, model: ModelConfig, *, device: torch.device, dtype: torch.dtype) -> None:
        self.model = model
        self.device = device
        self.dtype = dtype
        self.modules: dict[str, nn.Module] = {}
        self.tokenizers: dict[str, Any] = {}
        self.source = Source.of(model, self.facts)

    # --- loading ---------------------------------------------------------------------------

    def load(self, which: Which) -> None:
        """Load one group of components, frozen and in evaluation mode, if it is not there yet."""
        if which == "text":
            for fact in self.source.text_encoders:
                if fact.slot not in self.modules:
                    self.tokenizers[fact.tokenizer_slot] = load.tokenizer(self.source, fact)
                    encoder = load.text_encoder(self.source, fact, self.dtype)
                    self.modules[fact.slot] = self._frozen(encoder)
        elif which == "vae" and "vae" not in self.modules:
            self.modules["vae"] = self._frozen(load.vae(self.source, self.vae_dtype))
        elif which == "denoiser" and "denoiser" not in self.modules:
            denoiser = load.denoiser(self.source, self.denoiser_dtype)
            self.modules["denoiser"] = self._frozen(denoiser)

    def _frozen(self, module: nn.Module) -> nn.Module:
        return module.to(self.device).requires_grad_(False).eval()

    def unload(self, which: Which) -> None:
        """Drop a group of components and give its memory back."""
        slots = [f.slot for f in self.facts.text_encoders] if which == "text" else [which]
        for slot in slots:
            self.modules.pop(slot, None)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    @property
    def denoiser(self) -> Any:
        return self.modules["denoiser"]

    @property
    def vae_dtype(self) -> torch.dtype:
        """As configured; else fp32 where the family needs it, else the compute dtype."""
        chosen = self.model.components.vae.dtype
        if chosen is not None:
            return DTYPES[chosen]
        return torch.float32 if self.facts.vae_fp32 else self.dtype

    @property
    def denoiser_dtype(self) -> torch.dtype:
        """As configured for a frozen base; trained weights have their own precision."""
        chosen = self.model.components.denoiser.dtype
        if chosen is None or self.model.mode == "full":
            return self.dtype
        return DTYPES[chosen]

    def identity(self, which: Which) -> str:
        """Digest of weights, configuration, precision and encode version of a component group."""
        dtypes = {"vae": self.vae_dtype, "denoiser": self.denoiser_dtype}
        dtype = str(dtypes.get(which, self.dtype))
        return identity(self.source, which, (dtype, self.encode_version, *self._traits(which)))

    def describe(self, which: Which) -> dict[str, str]:
        """The parts of `identity` in words, to tell which of them changed."""
        dtypes = {"vae": self.vae_dtype, "denoiser": self.denoiser_dtype}
        parts = {
            "weights": identity(self.source, which, ()),
            "dtype": str(dtypes.get(which, self.dtype)).removeprefix("torch."),
            "version": str(self.encode_version),
        }
        options = enumerate(self._traits(which), 1)
        return parts | {f"option {n}": repr(value) for n, value in options}

    def _traits(self, which: Which) -> tuple[Any, ...]:
        """Options on text change no latent."""
        return () if which == "vae" else self.traits

    @property
    def traits(self) -> tuple[Any, ...]:
        """Options of the family that change how text is encoded or attended to."""
        return ()

    @property
    def scheduler_config(self) -> dict[str, Any]:
        return self.source.scheduler_config

    @property
    def prediction(self) -> Prediction:
        return self.facts.prediction

    @property
    def header_facts(self) -> FamilyFacts:
        """Facts as adapter files tell them; a checkpoint may differ from its family in them."""
        return self.facts

    @property
    def alphas_cumprod(self) -> Tensor | None:
        return None

    @cached_property
    def spatial_factor(self) -> int:
        """Pixels along one side of a latent pixel: of this checkpoint, whose autoencoder may have
        another depth than the family's published ones. Read from its configuration alone."""
        return load.spatial_factor(self.source) or self.facts.spatial_factor

    @cached_property
    def latent_channels(self) -> int:
        """Channels of this checkpoint's latents, likewise."""
        return load.latent_channels(self.source) or self.facts.latent_channels

    def enable_checkpointing(self) -> None:
        self.denoiser.enable_gradient_checkpointing()

    # --- text ------------------------------------------------------------------------------

    @abstractmethod
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        """One entry per caption, batch dimension removed, on CPU."""

    def encodes_apart(self, negative: str) -> bool:
        """Whether a text that guidance steers away from is encoded unlike the same caption."""
        return False

    def encode_negative(self, texts: Sequence[str]) -> list[TextEntry]:
        """Entries of such texts, where `encodes_apart` says so."""
        raise AssertionError(f"{self.facts.key} encodes no text apart")

    def collate_text(self, items: Sequence[Mapping[str, Tensor]]) -> TextEntry:
        """Stack entries; sequences of different length are padded with zeros at the end."""
        return {key: _stack([item[key] for item in items]) for key in items[0]}

    # --- pixels ----------------------------------------------------------------------------

    @torch.no_grad()
    def posterior(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Pixels [B, 3, H, W] in -1..1 to mean and standard deviation of the normalised latents,
        [B, C, h, w] each, fp32 on CPU; no deviation where the autoencoder has none."""
        vae: Any = self.modules["vae"]
        found = vae.encode(pixels.to(self.device, vae.dtype)).latent_dist
        shift, scale = vae.config.shift_factor or 0.0, vae.config.scaling_factor
        return (found.mean.float().cpu() - shift) * scale, found.std.float().cpu() * scale

    def encode_media(self, pixels: Tensor, seeds: Sequence[int]) -> Tensor:
        """Pixels [B, 3, H, W] in -1..1 to normalised latents [B, C, h, w], fp32 on CPU.

        The posterior is sampled with one keyed stream per picture, so a latent does not depend
        on its neighbours in the batch.
        """
        mean, std = self.posterior(pixels)
        if std is None or self.facts.latent_stat != "sample":
            return mean
        return mean + std * normal(seeds, mean.shape[1:])

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Inverse of `encode_media`: pixels in -1..1."""
        vae: Any = self.modules["vae"]
        raw = latents / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
        return vae.decode(raw.to(self.device, vae.dtype), return_dict=False)[0]

    # --- training and sampling -------------------------------------------------------------

    @abstractmethod
    def probe_latents(self) -> tuple[int, int, int]:
        """Shape [C, h, w] of the smallest latents that the denoiser takes."""

    @abstractmethod
    def probe_text(self) -> dict[str, tuple[int, ...]]:
        """Shapes of a short text entry."""

    @torch.no_grad()
    def probe(self) -> Tensor:
        """Prediction for one fixed small input: two states that act alike give the same."""
        generator = torch.Generator().manual_seed(0)

        def draw(shape: Sequence[int]) -> Tensor:
            return torch.randn(1, *shape, generator=generator).to(self.device)

        noisy = draw(self.probe_latents())
        text = {key: draw(shape) for key, shape in self.probe_text().items()}
        time = torch.tensor([0.5 if self.alphas_cumprod is None else 500], device=self.device)
        sizes = torch.tensor([[64, 64, 0, 0, 64, 64]], device=self.device)
        training = self.denoiser.training
        self.denoiser.eval()
        try:
            return self.forward(noisy, time, Condition(text, sizes)).float().cpu()
        finally:
            self.denoiser.train(training)

    @abstractmethod
    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        """Canonical prediction [B, C, h, w]; `time` [B] is sigma for flow, an integer for
        discrete families."""

    @abstractmethod
    def pipeline(self) -> Any:
        """The family's diffusers pipeline around the live denoiser, without text encoders.

        The autoencoder is in it when it is loaded; sampling to latents works without.
        """

    @abstractmethod
    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        """Arguments of one pipeline call; `text` and `negative` are single cache entries."""

    def request_kwargs(self, request: ImageRequest) -> dict[str, Any]:
        """Arguments that every pipeline takes."""
        return {
            "width": request.width,
            "height": request.height,
            "num_inference_steps": request.steps,
            "generator": request.generator,
            "output_type": request.output_type,
        }

    def batched(self, entry: TextEntry, key: str) -> Tensor:
        """A cache entry's tensor as a batch of one, where the pipeline wants it."""
        return entry[key][None].to(self.device, self.dtype)


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    longest = max(t.shape[0] for t in tensors) if tensors[0].ndim else 0
    if all(t.shape == tensors[0].shape for t in tensors):
        return torch.stack(list(tensors))
    out = tensors[0].new_zeros((len(tensors), longest, *tensors[0].shape[1:]))
    for row, tensor in zip(out, tensors, strict=True):
        row[: tensor.shape[0]] = tensor
    return out


def build_family(config: JobConfig, device: torch.device, dtype: torch.dtype) -> Family:
    """The family of the job; nothing is loaded yet."""
    cls = catalog.load(catalog.FAMILIES[config.model.family])
    return cls(config.model, device=device, dtype=dtype)
