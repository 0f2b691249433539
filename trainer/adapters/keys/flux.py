"""Names in the original Flux model, which Chroma shares: fused `qkv`, and `linear1` that holds the
MLP's first layer as well."""

from __future__ import annotations

from trainer.adapters.keys.table import Entry, Rows, same

_DOUBLE, _OURS = "double_blocks.{}", "transformer_blocks.{}"
_SINGLE, _SINGLE_OURS = "single_blocks.{}", "single_transformer_blocks.{}"


def _side(theirs: str, q_k_v: tuple[str, str, str], out: str, mlp: str, norm: str) -> list[Entry]:
    """The picture's or the text's half of a double block."""
    fused = tuple(f"{_OURS}.attn.{name}" for name in q_k_v)
    return [
        Entry(f"{_DOUBLE}.{theirs}_attn.qkv", fused, Rows.EQUAL),
        same(f"{_DOUBLE}.{theirs}_attn.proj", f"{_OURS}.attn.{out}"),
        same(f"{_DOUBLE}.{theirs}_mlp.0", f"{_OURS}.{mlp}.net.0.proj"),
        same(f"{_DOUBLE}.{theirs}_mlp.2", f"{_OURS}.{mlp}.net.2"),
        same(f"{_DOUBLE}.{theirs}_mod.lin", f"{_OURS}.{norm}.linear"),
    ]


def _embedder(theirs: str, ours: str) -> list[Entry]:
    return [
        same(f"{theirs}.in_layer", f"time_text_embed.{ours}.linear_1"),
        same(f"{theirs}.out_layer", f"time_text_embed.{ours}.linear_2"),
    ]


_LINEAR1 = tuple(f"{_SINGLE_OURS}.{n}" for n in ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"))

ENTRIES: tuple[Entry, ...] = (
    *_side("img", ("to_q", "to_k", "to_v"), "to_out.0", "ff", "norm1"),
    *_side(
        "txt",
        ("add_q_proj", "add_k_proj", "add_v_proj"),
        "to_add_out",
        "ff_context",
        "norm1_context",
    ),
    Entry(f"{_SINGLE}.linear1", _LINEAR1, Rows.INPUTS),
    same(f"{_SINGLE}.linear2", f"{_SINGLE_OURS}.proj_out"),
    same(f"{_SINGLE}.modulation.lin", f"{_SINGLE_OURS}.norm.linear"),
    same("img_in", "x_embedder"),
    same("txt_in", "context_embedder"),
    *_embedder("time_in", "timestep_embedder"),
    *_embedder("vector_in", "text_embedder"),
    *_embedder("guidance_in", "guidance_embedder"),
    same("final_layer.linear", "proj_out"),
    Entry("final_layer.adaLN_modulation.1", ("norm_out.linear",), Rows.SWAPPED),
)
