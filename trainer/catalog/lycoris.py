"""The LyCORIS algorithms (2309.14859): what each is and which settings act on it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Algorithm:
    """`settings` are the keys of adapter.lycoris that only some algorithms read, and those of
    adapter: rank, alpha, rslora, dora."""

    summary: str
    settings: frozenset[str] = field(default_factory=frozenset)


_LOW_RANK = frozenset({"rank", "alpha", "rslora", "dora"})
_ROTATION = frozenset({"rank", "constraint", "rescaled"})
_KRONECKER = frozenset({"factor", "full_matrix", "decompose_both", "init_norm"})

ALGORITHMS: dict[str, Algorithm] = {
    "lora": Algorithm("product of two thin matrices, also of convolutions (LoCon)", _LOW_RANK),
    "loha": Algorithm("element-wise product of two low-rank matrices (2108.06098)", _LOW_RANK),
    "lokr": Algorithm("Kronecker product of a small and a large factor", _LOW_RANK | _KRONECKER),
    "full": Algorithm("every weight and bias of the layer"),
    "ia3": Algorithm("one factor for each output (2205.05638)"),
    "dylora": Algorithm(
        "LoRA that works cut off at any rank (2210.07558)",
        frozenset({"rank", "alpha", "block_size"}),
    ),
    "diag-oft": Algorithm("rotation of blocks of outputs (2306.07280)", _ROTATION),
    "boft": Algorithm("rotations composed like a butterfly (2311.06243)", _ROTATION),
    "glora": Algorithm(
        "low-rank change of the inputs and of the weight (2306.07967)",
        frozenset({"rank", "alpha", "rslora"}),
    ),
}

ADAPTER_SETTINGS = ("rank", "alpha", "rslora", "dora")
