"""A tiny Stable Diffusion 1.x or 2.x folder as one file in the layout of the first releases.

That is how merged checkpoints are shared: UNet, autoencoder and CLIP in one .safetensors with the
block names of the original code.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
}
OPEN_CLIP = {
    "embeddings.token_embedding": "token_embedding",
    "embeddings.position_embedding.weight": "positional_embedding",
    "encoder.layers": "transformer.resblocks",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn": "attn",
    "final_layer_norm": "ln_final",
}
VAE_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}


def unet_name(name: str, layers: int) -> str:
    """Original name of a UNet tensor; `layers` is `layers_per_block`."""
    module, _, kind = name.rpartition(".")
    if module in UNET_ENDS:
        return f"{UNET_ENDS[module]}.{kind}"
    parts = module.split(".")
    if parts[0] == "mid_block":
        part = 1 if parts[1] == "attentions" else 2 * int(parts[2])
        return f"middle_block.{part}.{_inner(parts[1], parts[3:])}.{kind}"
    block = int(parts[1])
    if parts[0] == "down_blocks":
        if parts[2] == "downsamplers":
            return f"input_blocks.{(block + 1) * (layers + 1)}.0.op.{kind}"
        place = 1 + block * (layers + 1) + int(parts[3])
        slot = 1 if parts[2] == "attentions" else 0
        return f"input_blocks.{place}.{slot}.{_inner(parts[2], parts[4:])}.{kind}"
    if parts[2] == "upsamplers":
        # stands behind the attention where the block has one; the tiny model's first block does
        return f"output_blocks.{block * (layers + 1) + layers}.2.conv.{kind}"
    place = block * (layers + 1) + int(parts[3])
    slot = 1 if parts[2] == "attentions" else 0
    return f"output_blocks.{place}.{slot}.{_inner(parts[2], parts[4:])}.{kind}"


def _inner(group: str, rest: list[str]) -> str:
    name = ".".join(rest)
    return RESNET[name] if group == "resnets" else name


def vae_name(name: str, blocks: int) -> str:
    """Original name of an autoencoder tensor; `blocks` is the number of resolutions."""
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    for ours, theirs in VAE_ATTENTION.items():
        name = name.replace(f"mid_block.attentions.0.{ours}.", f"mid.attn_1.{theirs}.")
    name = re.sub(r"down_blocks\.(\d)\.resnets\.", r"down.\1.block.", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)

    def up(match: re.Match[str]) -> str:
        return f"up.{blocks - 1 - int(match[1])}."

    name = re.sub(r"up_blocks\.(\d)\.", up, name)
    name = re.sub(r"(up\.\d)\.resnets\.", r"\1.block.", name)
    name = re.sub(r"(up\.\d)\.upsamplers\.0", r"\1.upsample", name)
    return name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")


def open_clip(text: dict[str, Tensor]) -> dict[str, Tensor]:
    """The text encoder of 2.x: query, key and value in one, and a last layer that nobody uses."""
    out: dict[str, Tensor] = {}
    for name, value in text.items():
        theirs = name
        for part, other in OPEN_CLIP.items():
            theirs = theirs.replace(part, other)
        if ".q_proj." in name:
            rows = [text[name.replace("q_proj", p)] for p in ("q_proj", "k_proj", "v_proj")]
            out[theirs.replace("q_proj.", "in_proj_")] = torch.cat(rows)
        elif ".k_proj." not in name and ".v_proj." not in name:
            out[theirs] = value
    width = text["final_layer_norm.weight"].shape[0]
    out["transformer.resblocks.23.ln_1.weight"] = torch.zeros(width)
    out["text_projection"] = torch.eye(width)
    return out


def write_single_file(folder: Path, path: Path) -> Path:
    """The pipeline in `folder` (one layer per block, two resolutions) as one file."""
    tensors: dict[str, Tensor] = {}

    def weights(name: str) -> dict[str, Tensor]:
        return load_file(next((folder / name).glob("*.safetensors")))

    for name, value in weights("unet").items():
        tensors[f"model.diffusion_model.{unet_name(name, 1)}"] = value
    for name, value in weights("vae").items():
        linear = ".attentions." in name and value.ndim == 2
        value = value[:, :, None, None] if linear else value
        tensors[f"first_stage_model.{vae_name(name, 2)}"] = value.contiguous()
    text = {k.removeprefix("text_model."): v for k, v in weights("text_encoder").items()}
    if json.loads((folder / "unet" / "config.json").read_text())["use_linear_projection"]:
        tensors |= {f"cond_stage_model.model.{k}": v for k, v in open_clip(text).items()}
    else:
        names = {f"cond_stage_model.transformer.text_model.{k}": v for k, v in text.items()}
        tensors |= names
    save_file(tensors, path)
    return path
