"""A key of an adapter file taken apart: component, layer as the file calls it, tensor.

Every way of writing that programs have used is read; the tensors get the names of LyCORIS files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from trainer.adapters.tools.record import DENOISER, DORA, DOWN, MID, UP

# Prefix -> component; behind these, dots of the layer's name are underscores.
FLAT = {
    "lora_unet_": DENOISER,
    "lora_prior_unet_": DENOISER,
    "lora_transformer_": DENOISER,
    "lycoris_": DENOISER,
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
    "lora_te3_": "text_encoder_3",
    "lora_te_": "text_encoder",
}
DOTTED = {
    "model.diffusion_model.": DENOISER,
    "diffusion_model.": DENOISER,
    "base_model.model.": DENOISER,
    "transformer.": DENOISER,
    "unet.": DENOISER,
    "prior.": DENOISER,
    "text_encoder.": "text_encoder",
    "text_encoder_2.": "text_encoder_2",
    "text_encoder_3.": "text_encoder_3",
}
MAGNITUDE = "lora_magnitude_vector"
_SAME = (
    *("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"),
    *("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"),
    *("a1.weight", "a2.weight", "b1.weight", "b2.weight", "oft_blocks", "rescale"),
    *("diff", "diff_b", "on_input", "alpha", DORA, DOWN, UP, MID),
)
TAILS = {name: name for name in _SAME} | {
    "lora_A.weight": DOWN,
    "lora_B.weight": UP,
    "lora_A.default.weight": DOWN,
    "lora_B.default.weight": UP,
    "lora.down.weight": DOWN,
    "lora.up.weight": UP,
    "lora_linear_layer.down.weight": DOWN,
    "lora_linear_layer.up.weight": UP,
    MAGNITUDE: MAGNITUDE,
    f"{MAGNITUDE}.weight": MAGNITUDE,
    f"{MAGNITUDE}.default.weight": MAGNITUDE,
}
_ANY = "|".join(sorted(map(re.escape, TAILS), key=len, reverse=True))
_TAIL = re.compile(rf"(?P<name>.+?)\.(?P<tail>{_ANY})")
_PROCESSOR = re.compile(
    r"(?P<name>.+)\.processor\.(?P<layer>to_[qkv]|to_out|add_[qkv]_proj|to_add_out)_lora"
    r"\.(?P<half>down|up)\.weight"
)


@dataclass(frozen=True, slots=True)
class Key:
    component: str
    layer: str  # as the file has it, without its prefix
    flat: bool
    tensor: str
    prefix: str


def parse(key: str) -> Key | None:
    """None for a key of no known form."""
    for prefix, component in FLAT.items():
        if key.startswith(prefix):
            layer, _, tail = key[len(prefix) :].partition(".")
            tensor = "weight" if tail == "weight" else TAILS.get(tail)
            return Key(component, layer, True, tensor, prefix) if layer and tensor else None
    prefix = next((p for p in DOTTED if key.startswith(p)), "")
    component, rest = DOTTED.get(prefix, DENOISER), key[len(prefix) :]
    if found := _PROCESSOR.fullmatch(rest):
        layer = found["layer"] + (".0" if found["layer"] == "to_out" else "")
        tensor = DOWN if found["half"] == "down" else UP
        return Key(component, f"{found['name']}.{layer}", False, tensor, prefix)
    if found := _TAIL.fullmatch(rest):
        return Key(component, found["name"], False, TAILS[found["tail"]], prefix)
    return None
