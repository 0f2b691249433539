"""Control nets of Flux: packed latents of the picture are added to those of the noisy one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from trainer.models.condition import Condition
from trainer.models.controlnet.base import ControlNet
from trainer.models.parts.diffusers_classes import diffusers_class
from trainer.models.parts.packing import pack


class FluxControl(ControlNet):
    net_class = "FluxControlNetModel"
    pipeline_class = "FluxControlNetPipeline"
    alike = (
        "in_channels",
        "attention_head_dim",
        "num_attention_heads",
        "joint_attention_dim",
        "pooled_projection_dim",
    )

    def blocks(self, base: Any) -> Mapping[str, int]:
        return {
            "layers": len(base.transformer_blocks),
            "single_layers": len(base.single_transformer_blocks),
        }

    def fresh(self, base: Any, sizes: Mapping[str, int]) -> Any:
        """The sizes of attention are told, since diffusers takes those of the published model."""
        return diffusers_class(self.net_class).from_transformer(
            base,
            num_layers=sizes["layers"],
            num_single_layers=sizes["single_layers"],
            attention_head_dim=base.config.attention_head_dim,
            num_attention_heads=base.config.num_attention_heads,
        )

    def unlike(self, net: Any) -> Iterator[str]:
        yield from super().unlike(net)
        if net.union:
            yield "it is a union of several kinds of control, which needs to be told the kind"
        if net.input_hint_block is not None:
            yield "it looks at pixels, and pictures of this family are shown as latents"

    def picture(self, condition: Condition) -> Tensor:
        return pack(super().picture(condition))

    def residuals(self, told: Mapping[str, Any], condition: Condition) -> dict[str, Any]:
        same = ("timestep", "img_ids", "txt_ids")
        cast = ("hidden_states", "encoder_hidden_states", "pooled_projections")
        blocks, single_blocks = self.net(
            **{name: told[name] for name in same},
            **{name: told[name].to(self.dtype) for name in cast},
            guidance=told["guidance"] if self.net.config.guidance_embeds else None,
            controlnet_cond=self.picture(condition),
            return_dict=False,
        )
        return {
            "controlnet_block_samples": self.added(blocks),
            "controlnet_single_block_samples": self.added(single_blocks),
        }
