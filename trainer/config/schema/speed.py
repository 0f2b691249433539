"""Kernels and compilation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainer.catalog.attention import Attention
from trainer.config.schema.base import Section, changes


class AttentionConfig(Section):
    """How attention of the denoiser is computed."""

    backend: Attention | None = Field(default=None, json_schema_extra=changes("memory", "time"))
    """Kernel of the denoiser's attention; default: as torch chooses."""


class CompileConfig(Section):
    """torch.compile, block by block: repeated blocks are compiled once for all of them."""

    backend: Literal["inductor", "cudagraphs", "aot_eager", "eager"] | None = Field(
        default=None, json_schema_extra=changes("time", "memory")
    )
    """Compiler of the denoiser's blocks; default: none."""
    mode: (
        Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] | None
    ) = Field(default=None, json_schema_extra=changes("time", "memory"))
    """How much inductor tries; default: its own."""
    dynamic: bool | None = Field(default=None, json_schema_extra=changes("time"))
    """Code for any size (true), for each size (false); default: for any after a second size."""
    fullgraph: bool = Field(default=False, json_schema_extra=changes("time"))
    """Stop at what cannot be compiled instead of leaving it out."""
