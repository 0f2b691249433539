"""The interface between the trainer and a model family.

A family translates between one canonical convention (families.md §1.1) and its denoiser: flow
time is sigma with 1 = noise, the flow target is `eps - x0`, latents are normalised and unpacked
`[B, C, h, w]`. Everything else in the trainer is free of family knowledge.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

import torch
from PIL.Image import Image
from torch import Tensor

from trainer import catalog
from trainer.catalog.facts import FamilyFacts, Prediction
from trainer.config.schema.root import JobConfig
from trainer.memory.in_turn import BATCHES
from trainer.models import load
from trainer.models.components import Components
from trainer.models.condition import Condition
from trainer.models.controlnet.base import ControlNet, Form
from trainer.models.request import ImageRequest
from trainer.models.stretch import WHOLE
from trainer.rng import normal

TextEntry = dict[str, Tensor]


class Family(Components, ABC):
    """One model being trained."""

    control_class: ClassVar[type[ControlNet] | None] = None  # where it has control nets
    stretch = WHOLE  # what of the way from noise to picture it draws

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

    @property
    def shift_rule(self) -> Callable[[int], float] | None:
        """Automatic shift by number of tokens, where it is not the usual exponential one."""
        return None

    @property
    def largest_side(self) -> int | None:
        """Pixels along one side beyond which the denoiser has no positions; None: no bound."""
        return None

    @property
    def p2_gamma(self) -> float:
        """Exponent of the P2 loss weight of families with a continuous schedule; 0: none."""
        return 0.0

    @cached_property
    def spatial_factor(self) -> int | Fraction:
        """Pixels along one side of a latent pixel: of this checkpoint, whose autoencoder may have
        another depth than the family's published ones. Read from its configuration alone."""
        return load.spatial_factor(self.source) or self.facts.spatial_factor

    @cached_property
    def latent_channels(self) -> int:
        """Channels of this checkpoint's latents, likewise."""
        return load.latent_channels(self.source) or self.facts.latent_channels

    # --- text ------------------------------------------------------------------------------

    @abstractmethod
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        """One entry per caption, batch dimension removed, on CPU."""

    def captions_at_once(self, batch_size: int) -> int:
        """Captions to hand to `encode_captions` together, at `batch_size` in one batch."""
        sequential = self.compute.text_encoders == "sequential"
        return batch_size * (BATCHES if sequential else 1)

    def encode_captions(self, captions: Sequence[str], batch_size: int) -> list[TextEntry]:
        """`encode_text` in batches; encoders that are loaded in turn see all batches in theirs."""
        self.load("text")
        starts = range(0, len(captions), batch_size)
        batches = [captions[i : i + batch_size] for i in starts]
        if self._in_turn is not None:
            encoded = self._in_turn.encode(batches, self.encode_text)
        else:
            encoded = [self.encode_text(batch) for batch in batches]
        return [entry for entries in encoded for entry in entries]

    def encodes_apart(self, negative: str) -> bool:
        """Whether a text that guidance steers away from is encoded unlike the same caption."""
        return False

    def encode_negative(self, texts: Sequence[str]) -> list[TextEntry]:
        """Entries of such texts, where `encodes_apart` says so."""
        raise AssertionError(f"{self.facts.key} encodes no text apart")

    def collate_text(self, items: Sequence[Mapping[str, Tensor]]) -> TextEntry:
        """Stack entries; sequences of different length are padded with zeros at the end."""
        return {key: _stack([item[key] for item in items]) for key in items[0]}

    def encode_seen(
        self, captions: Sequence[str], pictures: Sequence[Sequence[Image]]
    ) -> list[TextEntry]:
        """As `encode_text`, each caption with the pictures (RGB) that its sample is made from."""
        raise AssertionError(f"{self.facts.key} encodes text alone")

    # --- pictures that are told ------------------------------------------------------------

    @property
    def image_embeds_share(self) -> float:
        """Share of the samples whose denoiser is told an embedding of a picture; 0: of none."""
        return 0.0 if self.facts.image_encoder is None else 1.0

    @torch.no_grad()
    def encode_images(self, pictures: Sequence[Image]) -> Tensor:
        """Embeddings [B, D] of RGB pictures of any size, on CPU."""
        fact = self.facts.image_encoder
        assert fact is not None, "the family has no image encoder"
        encoder: Any = self.modules[fact.slot]
        pixels = self.image_processor(list(pictures), return_tensors="pt").pixel_values
        return encoder(pixels.to(self.device, encoder.dtype)).image_embeds.cpu()

    # --- pictures that control -------------------------------------------------------------

    @property
    def reference_form(self) -> Form:
        """What is kept of the pictures that a sample is made from."""
        chosen = self.control_class if self.model.mode == "controlnet" else None
        return "latents" if chosen is None else chosen.form

    def attach_control(self, dtype: torch.dtype) -> ControlNet:
        """A control net beside the loaded denoiser: from here on `forward` asks it."""
        assert self.control_class is not None, "lint refuses control nets of other families"
        self.control = self.control_class(self, dtype)
        return self.control

    def with_control(self, told: dict[str, Any], condition: Condition) -> dict[str, Any]:
        """Arguments of the denoiser, with what an attached control net makes of the picture."""
        if self.control is None or not self.control.acts(condition):
            return told
        return told | self.control.residuals(told, condition)

    # --- pixels ----------------------------------------------------------------------------

    def latent_norm(self, vae: Any) -> tuple[Any, Any]:
        """What raw latents are shifted by (down), then scaled by: numbers, or fp32 [C, 1, 1]."""
        return vae.config.shift_factor or 0.0, vae.config.scaling_factor

    @torch.no_grad()
    def posterior(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Pixels [B, 3, H, W] in -1..1 to mean and standard deviation of the normalised latents,
        [B, C, h, w] each, fp32 on CPU; no deviation where the autoencoder has none."""
        if not self.has_vae:
            return pixels.float().cpu(), None
        vae: Any = self.modules["vae"]
        found = vae.encode(pixels.to(self.device, vae.dtype)).latent_dist
        shift, scale = self.latent_norm(vae)
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
        if not self.has_vae:
            return latents.to(self.device)
        vae: Any = self.modules["vae"]
        shift, scale = self.latent_norm(vae)
        raw = latents / scale + shift
        return vae.decode(raw.to(self.device, vae.dtype), return_dict=False)[0]

    # --- training and sampling -------------------------------------------------------------

    def drawn_condition(self, condition: Condition, seeds: Sequence[int]) -> Condition:
        """The condition of one visit, for families that vary it at random; one keyed stream a
        sample, as for noise and time."""
        return condition

    @abstractmethod
    def probe_latents(self) -> tuple[int, int, int]:
        """Shape [C, h, w] of the smallest latents that the denoiser takes."""

    @abstractmethod
    def probe_text(self) -> dict[str, tuple[int, ...]]:
        """Shapes of a short text entry."""

    def probe_entry(self, draw: Callable[[Sequence[int]], Tensor]) -> TextEntry:
        """A collated text; `draw` gives random numbers of a shape, as a batch."""
        return {key: draw(shape) for key, shape in self.probe_text().items()}

    def probe_references(self) -> tuple[tuple[int, ...], ...]:
        """Shapes [C, h, w] of the references that the denoiser cannot do without."""
        return ()

    @torch.no_grad()
    def probe(self) -> Tensor:
        """Prediction for one fixed small input: two states that act alike give the same."""
        training = self.denoiser.training
        self.denoiser.eval()
        try:
            return self.forward(*self.probe_input()).float().cpu()
        finally:
            self.denoiser.train(training)

    def probe_input(self) -> tuple[Tensor, Tensor, Condition]:
        """Arguments of `forward` for the smallest input, always the same."""
        generator = torch.Generator().manual_seed(0)

        def draw(shape: Sequence[int]) -> Tensor:
            return torch.randn(1, *shape, generator=generator).to(self.device)

        noisy = draw(self.probe_latents())
        text = self.probe_entry(draw)
        time = torch.tensor([0.5 if self.alphas_cumprod is None else 500], device=self.device)
        sizes = torch.tensor([[64, 64, 0, 0, 64, 64]], device=self.device)
        references = tuple(draw(shape) for shape in self.probe_references())
        return noisy, time, Condition(text, sizes, references)

    @abstractmethod
    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        """Canonical prediction [B, C, h, w]; `time` [B] is sigma for flow, an integer for
        discrete families."""

    def extra_loss(self) -> Tensor | None:
        """What the last `forward` adds to the loss beside the error of its prediction, weighted;
        None where that is nothing."""
        return None

    @abstractmethod
    def pipeline(self) -> Any:
        """The family's diffusers pipeline around the live denoiser, without text encoders.

        The autoencoder is in it when it is loaded; sampling to latents works without.
        """

    def edit_pipeline(self) -> Any:
        """The pipeline for requests with pictures, where it is another one."""
        return self.pipeline()

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
    return cls(config.model, device=device, dtype=dtype, compute=config.compute)
