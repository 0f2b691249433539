"""A control net (2302.05543): a trained network beside a frozen denoiser that looks at a picture.

It is a copy of the denoiser's first blocks; what they make of the noisy latents and the picture is
added to the denoiser's own values, through layers that are zero at the start. One subclass per
kind of denoiser says how it is built and called; everything else is here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from trainer.errors import ConfigError
from trainer.findings import finding
from trainer.models import load
from trainer.models.condition import Condition
from trainer.models.parts.diffusers_classes import diffusers_class

if TYPE_CHECKING:
    from trainer.models.base import Family, TextEntry
from trainer.models.request import ImageRequest

Form = Literal["latents", "pixels"]
KEY = "model.controlnet"


class ControlNet(ABC):
    """The net of one family; `net` is the diffusers module once it is attached."""

    form: ClassVar[Form] = "latents"  # what it is shown of the picture
    net_class: ClassVar[str]
    pipeline_class: ClassVar[str]
    picture_argument: ClassVar[str] = "control_image"
    alike: ClassVar[tuple[str, ...]]  # what its configuration shares with the denoiser's

    def __init__(self, family: Family, dtype: torch.dtype) -> None:
        self.family = family
        self.active = True
        options = family.model.controlnet
        if options.path is not None:
            self.net: Any = self._opened(options.path, dtype)
        else:
            self.net = self._copied(dtype)
        nn.Module.to(self.net, family.device, dtype)  # diffusers' own warns of nothing at length

    # --- where its weights come from -------------------------------------------------------

    def _opened(self, path: str, dtype: torch.dtype) -> Any:
        """Weights to continue from."""
        family = self.family
        place = family.source.elsewhere("controlnet", path, f"{KEY}.path")
        net = load.component(place, f"diffusers.{self.net_class}", dtype, family.facts.key)
        for why in self.unlike(net):
            raise ConfigError(
                finding(
                    "CFG305",
                    f"the control net {path} does not fit the model: {why}",
                    where=f"{KEY}.path",
                    why="its values are added to those of the model, layer by layer",
                    fix="name a control net of this family, or leave the path out to start a new "
                    "one from the model",
                )
            )
        return net

    def unlike(self, net: Any) -> Iterator[str]:
        """In which ways an opened net does not go with the denoiser."""
        base = self.family.denoiser.config
        for key in self.alike:
            theirs, ours = net.config.get(key), base.get(key)
            if _plain(theirs) != _plain(ours):
                yield f"its {key} is {theirs}, the model's is {ours}"

    def _copied(self, dtype: torch.dtype) -> Any:
        """A new net from the denoiser's own weights; quantised ones are read again."""
        family = self.family
        quantised = family.compute.quant.base is not None
        base = load.denoiser(family.source, dtype) if quantised else family.denoiser
        return self.fresh(base, self._sizes(base))

    def _sizes(self, base: Any) -> dict[str, int]:
        """Blocks to copy of each kind: as asked, else the usual number or as many as there are."""
        options, found = self.family.model.controlnet, self.blocks(base)
        asked = {"layers": options.layers, "single_layers": options.single_layers}
        sizes = {}
        for name, usual in self.family.facts.control_layers.items():
            wanted = asked[name]
            if wanted is not None and wanted > found[name]:
                raise ConfigError(
                    finding(
                        "CFG306",
                        f"a control net of {wanted} {name} cannot be copied: the model has "
                        f"{found[name]} to copy",
                        where=f"{KEY}.{name}",
                        fix=f"set {KEY}.{name} = {found[name]} or less",
                        patch={f"{KEY}.{name}": found[name]},
                    )
                )
            sizes[name] = min(usual, found[name]) if wanted is None else wanted
        return sizes

    def blocks(self, base: Any) -> Mapping[str, int]:
        """How many blocks of each kind there are to copy."""
        return {}

    @abstractmethod
    def fresh(self, base: Any, sizes: Mapping[str, int]) -> Any:
        """A net that adds nothing yet; `base` keeps its configuration."""

    # --- training --------------------------------------------------------------------------

    @property
    def dtype(self) -> torch.dtype:
        return self.net.dtype

    @abstractmethod
    def residuals(self, told: Mapping[str, Any], condition: Condition) -> dict[str, Any]:
        """What the denoiser is told of the picture, by argument; `told` is what else it is told,
        and the net with it."""

    def acts(self, condition: Condition) -> bool:
        return self.active and bool(condition.references)

    def picture(self, condition: Condition) -> Tensor:
        """What the net is shown: [B, 3, H, W] in 0..1, or latents [B, C, h, w]."""
        (picture,) = condition.references
        if self.form == "pixels":
            return picture.float().div(255.0).to(self.dtype)
        return picture.to(self.dtype)

    def added(self, values: Sequence[Tensor] | None) -> list[Tensor] | None:
        """Values of the net in the denoiser's precision."""
        dtype = self.family.denoiser_dtype
        return None if values is None else [value.to(dtype) for value in values]

    @contextmanager
    def off(self) -> Iterator[None]:
        """Within the block the denoiser computes alone."""
        self.active = False
        try:
            yield
        finally:
            self.active = True

    # --- validation ------------------------------------------------------------------------

    def edit_pipeline(self) -> Any:
        """The family's control net pipeline around the live modules, without text encoders."""
        cls = diffusers_class(self.pipeline_class)
        known = signature(cls.__init__).parameters
        parts = {n: part for n, part in self.family.pipeline().components.items() if n in known}
        return cls(**parts, **self.pipeline_parts(), controlnet=self.net)

    def pipeline_parts(self) -> dict[str, Any]:
        """What the pipeline takes beside its components."""
        return {}

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        """Arguments of one call for a request with a picture."""
        plain = replace(request, pictures=())
        return self.family.pipeline_kwargs(text, negative, plain) | {
            self.picture_argument: request.pictures[0],
            "controlnet_conditioning_scale": request.control_scale,
        }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
