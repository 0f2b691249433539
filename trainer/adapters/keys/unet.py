"""Names in the original Stable Diffusion UNets (SGM): `input_blocks.4.1.…`.

There the blocks are numbered through: each level has two resnets with their attention, and then
the layer that changes the size. The layers inside an attention block have diffusers' own names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trainer.adapters.keys.table import Entry, same

_RESNET = {
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_OUTSIDE = (
    same("input_blocks.0.0", "conv_in"),
    same("time_embed.0", "time_embedding.linear_1"),
    same("time_embed.2", "time_embedding.linear_2"),
    same("label_emb.0.0", "add_embedding.linear_1"),
    same("label_emb.0.2", "add_embedding.linear_2"),
    same("out.2", "conv_out"),
)
LEVELS = range(4)


def entries(names: Iterable[str], *, attention_first: bool) -> tuple[Entry, ...]:
    """`attention_first`: the deepest level on the way up has attention (SDXL; not SD 1 and 2)."""
    attention = sorted({n.split(".", 4)[4] for n in names if ".attentions.{}." in n and _up(n)})
    return (*_OUTSIDE, *_down(attention), *_middle(attention), *_upward(attention, attention_first))


def _up(name: str) -> bool:
    return name.startswith("up_blocks.")


def _down(attention: list[str]) -> Iterator[Entry]:
    for level in LEVELS:
        for layer in range(2):
            there = f"input_blocks.{1 + 3 * level + layer}"
            yield from _resnet(f"{there}.0", f"down_blocks.{level}.resnets.{layer}")
            for rest in attention:
                yield same(f"{there}.1.{rest}", f"down_blocks.{level}.attentions.{layer}.{rest}")
        yield same(f"input_blocks.{3 + 3 * level}.0.op", f"down_blocks.{level}.downsamplers.0.conv")


def _middle(attention: list[str]) -> Iterator[Entry]:
    yield from _resnet("middle_block.0", "mid_block.resnets.0")
    yield from _resnet("middle_block.2", "mid_block.resnets.1")
    for rest in attention:
        yield same(f"middle_block.1.{rest}", f"mid_block.attentions.0.{rest}")


def _upward(attention: list[str], attention_first: bool) -> Iterator[Entry]:
    for level in LEVELS:
        for layer in range(3):
            there = f"output_blocks.{3 * level + layer}"
            yield from _resnet(f"{there}.0", f"up_blocks.{level}.resnets.{layer}")
            for rest in attention:
                yield same(f"{there}.1.{rest}", f"up_blocks.{level}.attentions.{layer}.{rest}")
        place = 2 if level or attention_first else 1
        theirs = f"output_blocks.{3 * level + 2}.{place}.conv"
        yield same(theirs, f"up_blocks.{level}.upsamplers.0.conv")


def _resnet(theirs: str, ours: str) -> Iterator[Entry]:
    for name, original in _RESNET.items():
        yield same(f"{theirs}.{original}", f"{ours}.{name}")
