"""Control nets of UNets: they look at the picture in pixels, through convolutions of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trainer.models.condition import Condition
from trainer.models.controlnet.base import ControlNet
from trainer.models.parts.diffusers_classes import diffusers_class

EMBEDDING = (16, 32, 96, 256)  # channels of the picture's convolutions; each after the first halves


class UNetControl(ControlNet):
    """The way down and the middle of the UNet."""

    form = "pixels"
    net_class = "ControlNetModel"
    pipeline_class = "StableDiffusionControlNetPipeline"
    picture_argument = "image"
    alike = (
        "in_channels",
        "block_out_channels",
        "layers_per_block",
        "cross_attention_dim",
        "addition_embed_type",
    )

    def fresh(self, base: Any, sizes: Mapping[str, int]) -> Any:
        """Its convolutions make a picture as small as its latents."""
        factor = int(self.family.spatial_factor)
        halvings = factor.bit_length() - 1
        assert 2**halvings == factor, "UNet families have autoencoders built in levels"
        channels = [EMBEDDING[min(level, len(EMBEDDING) - 1)] for level in range(halvings + 1)]
        return diffusers_class(self.net_class).from_unet(
            base, conditioning_embedding_out_channels=tuple(channels)
        )

    def unlike(self, net: Any) -> Iterator[str]:
        yield from super().unlike(net)
        smaller = 2 ** (len(net.config.conditioning_embedding_out_channels) - 1)
        if smaller != self.family.spatial_factor:
            yield (
                f"it makes pictures {smaller} times smaller, the autoencoder "
                f"{self.family.spatial_factor} times"
            )

    def residuals(self, told: Mapping[str, Any], condition: Condition) -> dict[str, Any]:
        cast = ("sample", "encoder_hidden_states")
        down, middle = self.net(
            **(dict(told) | {name: told[name].to(self.dtype) for name in cast}),
            controlnet_cond=self.picture(condition),
            return_dict=False,
        )
        return {
            "down_block_additional_residuals": self.added(down),
            "mid_block_additional_residual": middle.to(self.family.denoiser_dtype),
        }

    def pipeline_parts(self) -> dict[str, Any]:
        return {"requires_safety_checker": False}


class SDXLControl(UNetControl):
    pipeline_class = "StableDiffusionXLControlNetPipeline"

    def pipeline_parts(self) -> dict[str, Any]:
        config = self.family.pipeline().config
        return {
            "force_zeros_for_empty_prompt": config.force_zeros_for_empty_prompt,
            "add_watermarker": False,
        }
