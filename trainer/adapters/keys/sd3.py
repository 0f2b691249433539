"""Names in the original Stable Diffusion 3 model: `joint_blocks`, with fused `qkv`.

The modulation of the text in the last block has its halves swapped there, and which block is the
last is not known from a file; so `norm1_context` has no name here.
"""

from __future__ import annotations

from trainer.adapters.keys.table import Entry, Rows, same

_BLOCK, _OURS = "joint_blocks.{}", "transformer_blocks.{}"


def _qkv(theirs: str, *ours: str) -> Entry:
    return Entry(f"{_BLOCK}.{theirs}.qkv", tuple(f"{_OURS}.{name}" for name in ours), Rows.EQUAL)


ENTRIES: tuple[Entry, ...] = (
    _qkv("x_block.attn", "attn.to_q", "attn.to_k", "attn.to_v"),
    _qkv("x_block.attn2", "attn2.to_q", "attn2.to_k", "attn2.to_v"),
    _qkv("context_block.attn", "attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    same(f"{_BLOCK}.x_block.attn.proj", f"{_OURS}.attn.to_out.0"),
    same(f"{_BLOCK}.x_block.attn2.proj", f"{_OURS}.attn2.to_out.0"),
    same(f"{_BLOCK}.context_block.attn.proj", f"{_OURS}.attn.to_add_out"),
    same(f"{_BLOCK}.x_block.mlp.fc1", f"{_OURS}.ff.net.0.proj"),
    same(f"{_BLOCK}.x_block.mlp.fc2", f"{_OURS}.ff.net.2"),
    same(f"{_BLOCK}.context_block.mlp.fc1", f"{_OURS}.ff_context.net.0.proj"),
    same(f"{_BLOCK}.context_block.mlp.fc2", f"{_OURS}.ff_context.net.2"),
    same(f"{_BLOCK}.x_block.adaLN_modulation.1", f"{_OURS}.norm1.linear"),
    same("x_embedder.proj", "pos_embed.proj"),
    same("context_embedder", "context_embedder"),
    same("t_embedder.mlp.0", "time_text_embed.timestep_embedder.linear_1"),
    same("t_embedder.mlp.2", "time_text_embed.timestep_embedder.linear_2"),
    same("y_embedder.mlp.0", "time_text_embed.text_embedder.linear_1"),
    same("y_embedder.mlp.2", "time_text_embed.text_embedder.linear_2"),
    same("final_layer.linear", "proj_out"),
    Entry("final_layer.adaLN_modulation.1", ("norm_out.linear",), Rows.SWAPPED),
)
