"""OmniGen v1."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from diffusers.pipelines.omnigen import pipeline_omnigen, processor_omnigen
from torch import Tensor

from tests.support.kinds.base import Kind
from tests.support.tiny import vae
from tests.support.tiny_language import llama2_tokenizer
from trainer.models.condition import Condition

if not hasattr(processor_omnigen, "transforms"):
    # The real pipeline wants torchvision for pictures in prompts, of which there are none here.
    processor_omnigen.transforms = SimpleNamespace(
        Compose=list, Lambda=lambda f: f, ToTensor=object, Normalize=dict
    )
    pipeline_omnigen.OmniGenMultiModalProcessor = processor_omnigen.OmniGenMultiModalProcessor


def transformer(**config: Any) -> Any:
    from diffusers import OmniGenTransformer2DModel

    factors = {"long_factor": [1, 2], "short_factor": [1, 2]}
    return OmniGenTransformer2DModel(
        in_channels=4,
        patch_size=2,
        hidden_size=16,
        num_attention_heads=4,
        num_key_value_heads=4,
        intermediate_size=32,
        num_layers=2,
        time_step_dim=4,
        vocab_size=600,
        pad_token_id=2,
        pos_embed_max_size=64,
        **{"rope_scaling": factors} | config,
    )


def build(*, levels: int = 2, **config: Any) -> Any:
    """The pipeline itself draws only with an autoencoder of 4 levels: 8 pixels to a latent one."""
    from diffusers import FlowMatchEulerDiscreteScheduler, OmniGenPipeline

    return OmniGenPipeline(
        transformer=transformer(**config),
        scheduler=FlowMatchEulerDiscreteScheduler(invert_sigmas=True, num_train_timesteps=1),
        vae=vae(4, levels, scaling_factor=0.13025),
        tokenizer=llama2_tokenizer(),
    )


def text(pipe: Any, caption: str) -> Mapping[str, Tensor]:
    told = pipe.multimodal_processor.process_multi_modal_prompt(caption, None)
    return {"input_ids": torch.tensor(told["input_ids"])}


def call(module: Any, noisy: Tensor, time: Tensor, told: Condition) -> Tensor:
    """Each prompt alone, as the pipeline's own collator lays it out."""
    collator = processor_omnigen.OmniGenCollator()
    size = [noisy.shape[-2] * 8, noisy.shape[-1] * 8]
    rows = []
    for latents, sigma, ids, real in zip(
        noisy, time, told.text["input_ids"], told.text["mask"], strict=True
    ):
        prompt = {"input_ids": ids[real].tolist(), "pixel_values": None, "image_sizes": None}
        ids, positions, mask, *_ = collator.process_mllm_input([prompt], [size])
        rows.append(
            module(
                hidden_states=latents[None],
                timestep=1 - sigma[None],
                input_ids=ids,
                input_img_latents=[],
                input_image_sizes={},
                attention_mask=mask,
                position_ids=positions,
            ).sample
        )
    return -torch.cat(rows)


KIND = Kind(
    build=build,
    text=text,
    call=call,
    widest="attention+ffs",
    comfyui=None,
)
