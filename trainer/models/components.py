"""What of a model is in memory, where, and in which precision; and what it is in cache keys.

A family loads one group of components at a time: encoders before training, the denoiser for it.
Here the levers of memory act: quantised weights, weights in host memory, encoders in turn, blocks
computed again or swapped. What the components mean is no matter of this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from trainer.catalog.facts import FamilyFacts, TextEncoderFact
from trainer.config.schema.compute import ComputeConfig
from trainer.config.schema.model import ModelConfig
from trainer.memory.attention import use_attention
from trainer.memory.blocks import place
from trainer.memory.checkpointing import Checkpointing
from trainer.memory.compile import compile_blocks
from trainer.memory.in_turn import InTurn
from trainer.memory.layerwise import through_device
from trainer.memory.quant import QuantPlan, quantise
from trainer.memory.resident import weight_bytes
from trainer.memory.swap import BlockSwap, swapped_blocks
from trainer.memory.vae import spare_memory
from trainer.models import load
from trainer.models.controlnet.base import ControlNet
from trainer.models.identity import files_of, identity
from trainer.models.source import Source

Which = Literal["text", "image", "vae", "denoiser"]

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


class Components:
    """Components of one model; `modules` holds what is loaded at the moment."""

    facts: FamilyFacts
    encode_version = 1  # part of cache keys: raise it when encoding changes

    def __init__(
        self,
        model: ModelConfig,
        *,
        device: torch.device,
        dtype: torch.dtype,
        compute: ComputeConfig | None = None,
    ) -> None:
        self.model = model
        self.compute = compute or ComputeConfig()
        self.device = device
        self.dtype = dtype
        self.modules: dict[str, nn.Module] = {}
        self.tokenizers: dict[str, Any] = {}
        self.image_processor: Any = None
        self.picture_processor: Any = None  # of a text encoder that sees pictures
        self.source = Source.of(model, self.facts)
        self.quantised: dict[str, tuple[int, int]] = {}  # bytes of weights before and after
        self._in_turn: InTurn | None = None
        self.swap: BlockSwap | None = None
        self.control: ControlNet | None = None

    # --- loading ---------------------------------------------------------------------------

    def load(self, which: Which) -> None:
        """Load one group of components, frozen and in evaluation mode, if it is not there yet."""
        if which == "text":
            for fact in self.source.text_encoders:
                if fact.tokenizer_slot not in self.tokenizers:
                    self.tokenizers[fact.tokenizer_slot] = load.tokenizer(self.source, fact)
            absent = [f for f in self.source.text_encoders if f.slot not in self.modules]
            self._load_text([fact for fact in absent if fact.model_class is not None])
            if self.sees_pictures and self.picture_processor is None:
                self.picture_processor = load.picture_processor(self.source)
        elif which == "image":
            fact = self.facts.image_encoder
            if fact is not None and fact.slot not in self.modules:
                self.image_processor = load.image_processor(self.source, fact)
                encoder = load.image_encoder(self.source, fact, self.dtype)
                self.modules[fact.slot] = self._frozen(encoder, self.compute.offload.text_encoders)
        elif which == "vae" and self.has_vae and "vae" not in self.modules:
            vae = self._autoencoder()
            spare_memory(vae, self.model.components.vae)
            self.modules["vae"] = self._frozen(vae, self.compute.offload.vae)
        elif which == "denoiser" and "denoiser" not in self.modules:
            self.modules["denoiser"] = self._denoiser()

    def _autoencoder(self) -> nn.Module:
        return load.vae(self.source, self.vae_dtype)

    def _load_text(self, facts: Sequence[TextEncoderFact]) -> None:
        loaders: dict[str, Callable[[], nn.Module]] = {
            fact.slot: partial(self._text_encoder, fact) for fact in facts
        }
        if self.compute.text_encoders == "sequential" and len(loaders) > 1:
            self._in_turn = InTurn(loaders, device=self.device, dtype=self.dtype)
            self.modules |= self._in_turn.stands
        else:
            self.modules |= {slot: loader() for slot, loader in loaders.items()}

    def _text_encoder(self, fact: TextEncoderFact) -> nn.Module:
        encoder = load.text_encoder(self.source, fact, self.dtype)
        plan = self._encoder_plan(fact.slot)
        if plan is not None:
            self._quantise(fact.slot, encoder, plan)
        return self._frozen(encoder, self.compute.offload.text_encoders)

    def _frozen(self, module: nn.Module, offloaded: bool = False) -> nn.Module:
        """Without gradients; on the device, or in host memory and on the device layer by layer."""
        module.requires_grad_(False).eval()
        return through_device(module, self.device) if offloaded else module.to(self.device)

    def _denoiser(self) -> nn.Module:
        """Quantised before it moves, so that it arrives small; blocks that are to be swapped stay
        in host memory, where an adapter finds their weights."""
        denoiser = load.denoiser(self.source, self.denoiser_dtype)
        if self._base_plan is not None:
            self._quantise("denoiser", denoiser, self._base_plan)
        away = swapped_blocks(denoiser, self.compute.offload.blocks or 0)
        return place(denoiser, self.device, away).requires_grad_(False).eval()

    def _quantise(self, slot: str, module: nn.Module, plan: QuantPlan) -> None:
        before = weight_bytes(module)
        quantise(module, plan, device=self.device)
        self.quantised[slot] = (before, weight_bytes(module))

    @property
    def _base_plan(self) -> QuantPlan | None:
        quant = self.compute.quant
        if quant.base is None or self.model.mode == "full":
            return None
        return QuantPlan(
            name=quant.base,
            via="cpu" if self.compute.offload.blocks else quant.via,
            modulation=quant.modulation,
            keep=tuple(quant.keep),
        )

    def _encoder_plan(self, slot: str) -> QuantPlan | None:
        quant = self.compute.quant
        slots = [fact.slot for fact in self.facts.text_encoders]
        wanted = dict(zip(slots, quant.text_encoders, strict=False)).get(slot, "none")
        if wanted == "none":
            return None
        where = f"compute.quant.text_encoders[{slots.index(slot)}]"
        return QuantPlan(name=wanted, via=quant.via, where=where)

    def unload(self, which: Which) -> None:
        """Drop a group of components and give its memory back."""
        slots = [which]
        if which == "text":
            slots = [fact.slot for fact in self.facts.text_encoders]
        elif which == "image" and self.facts.image_encoder is not None:
            slots = [self.facts.image_encoder.slot]
        for slot in slots:
            self.modules.pop(slot, None)
        if which == "text" and self._in_turn is not None:
            self._in_turn.clear()
            self._in_turn = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    @property
    def denoiser(self) -> Any:
        return self.modules["denoiser"]

    @property
    def has_vae(self) -> bool:
        """Without one, pixels are latents as they are."""
        return self.facts.vae_class is not None

    @property
    def sees_pictures(self) -> bool:
        """Whether the text of a sample depends on the pictures that it is made from."""
        return self.source.flavour.edits

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

    def files(self, which: Which) -> Iterator[Path]:
        """Configuration and weight files of a component group."""
        return files_of(self.source, which)

    def identity(self, which: Which) -> str:
        """Digest of weights, configuration, precision and encode version of a component group."""
        dtypes = {"vae": self.vae_dtype, "denoiser": self.denoiser_dtype}
        dtype = str(dtypes.get(which, self.dtype))
        traits = (dtype, self.encode_version, *self._traits(which))
        return identity(self.files(which), traits)

    def describe(self, which: Which) -> dict[str, str]:
        """The parts of `identity` in words, to tell which of them changed."""
        dtypes = {"vae": self.vae_dtype, "denoiser": self.denoiser_dtype}
        parts = {
            "weights": identity(self.files(which), ()),
            "dtype": str(dtypes.get(which, self.dtype)).removeprefix("torch."),
            "version": str(self.encode_version),
        }
        options = enumerate(self._traits(which), 1)
        return parts | {f"option {n}": repr(value) for n, value in options}

    def _traits(self, which: Which) -> tuple[Any, ...]:
        """Options on text change no latent and no embedding of a picture; fewer bits change what a
        network computes."""
        if which == "image":
            return ()
        if which == "vae":
            return ("tiled",) if self.model.components.vae.tiling else ()
        if which == "denoiser":
            plans = [self._base_plan]
        else:
            plans = [self._encoder_plan(fact.slot) for fact in self.source.text_encoders]
        return (*self.traits, *(plan.result for plan in plans if plan is not None))

    @property
    def traits(self) -> tuple[Any, ...]:
        """Options of the family that change how text is encoded or attended to."""
        return ()

    # --- for the step ----------------------------------------------------------------------

    def ready_denoiser(self) -> None:
        """What has to come after the adapter: what is kept for backward, where weights are, and
        which code runs."""
        compute = self.compute
        checkpointing = Checkpointing(compute.checkpointing, self.device)
        if compute.checkpointing.enabled:
            self.enable_checkpointing(checkpointing)
        if compute.offload.blocks:
            self.swap = BlockSwap(
                self.denoiser,
                compute.offload.blocks,
                ring=compute.offload.ring,
                device=self.device,
                checkpointed=checkpointing.covers,
            )
        for network in self.networks:
            if compute.attention.backend is not None:
                use_attention(network, compute.attention.backend)
            if compute.compile.backend is not None:
                compile_blocks(network, compute.compile)

    @property
    def networks(self) -> list[Any]:
        """What computes in a step."""
        return [self.denoiser, *([self.control.net] if self.control is not None else [])]

    def enable_checkpointing(self, function: Callable[..., Any] | None = None) -> None:
        """`function` computes a block so that it is computed again in backward."""
        function = function or Checkpointing(self.compute.checkpointing, self.device)
        self.checkpoint_with(function)
        if self.control is not None:
            self.control.net.enable_gradient_checkpointing(gradient_checkpointing_func=function)

    def checkpoint_with(self, function: Callable[..., Any]) -> None:
        self.denoiser.enable_gradient_checkpointing(gradient_checkpointing_func=function)
