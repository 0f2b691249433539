"""Jobs that break a rule on variants of adapters, and jobs that do not."""

from __future__ import annotations

LY = "adapter.kind = 'lycoris'"


def algo(name: str, *more: str) -> str:
    return "; ".join((LY, f"adapter.lycoris.algo = '{name}'", *more))


LOKR_TOO = "adapter.lycoris.overrides = [{module = 'FeedForward', algo = 'lokr'}]"
NORM = "adapter.lycoris.init_norm = 1e-3"
FULL_LOKR = algo("lokr", "adapter.lycoris.full_matrix = true")

PROMPT = "validation.prompts = ['a cat']"
FULL = "model.mode = 'full'"


def beside(*more: str) -> str:
    """Adapters to draw with, and a prompt; the tables as given."""
    return f"{PROMPT}; validation.adapters = [{', '.join(more)}]"


FILE = "path = 'base.safetensors'"

CASES: dict[str, list[tuple[str, str]]] = {
    "CFG031": [
        ("adapter.preset = 'al'", "adapter.preset = 'all+ffs'"),
        (f"{LY}; adapter.preset = 'all'", f"{LY}; adapter.preset = 'blocks'"),
    ],
    "CFG032": [
        ("adapter.preset = 'all'; adapter.targets = ['to_q']", "adapter.targets = ['to_q']"),
        (
            f"{LY}; adapter.targets = ['to_q']; adapter.lycoris.modules = ['FeedForward']",
            f"{LY}; adapter.lycoris.modules = ['FeedForward']",
        ),
    ],
    "CFG260": [("adapter.lycoris.algo = 'loha'", algo("loha"))],
    "CFG261": [
        (
            algo("loha", "adapter.lycoris.factor = 4"),
            algo("loha", "adapter.lycoris.factor = 4", LOKR_TOO),
        ),
        (algo("full", "adapter.rank = 4"), algo("loha", "adapter.rank = 4")),
        (
            algo("boft", "adapter.overrides = [{module = 'to_q', alpha = 2.0}]"),
            algo("boft", "adapter.overrides = [{module = 'to_q', rank = 2}]"),
        ),
        (algo("glora", "adapter.dora = true"), algo("lokr", "adapter.dora = true")),
        (
            algo("lora", "adapter.lycoris.constraint = 0.1"),
            algo("diag-oft", "adapter.lycoris.constraint = 0.1"),
        ),
    ],
    "CFG262": [
        (f"{FULL_LOKR}; adapter.rank = 4", algo("lokr", "adapter.rank = 4")),
        (
            f"{FULL_LOKR}; adapter.lycoris.decompose_both = true",
            f"{FULL_LOKR}; adapter.dora = true",
        ),
    ],
    "CFG263": [
        (f"{LY}; adapter.init = 'pissa'", "adapter.init = 'pissa'"),
        (f"{LY}; adapter.lora_plus_ratio = 16.0", "adapter.lora_plus_ratio = 16.0"),
    ],
    "CFG264": [
        (f"{LY}; adapter.formats = ['comfyui']", f"{LY}; adapter.formats = ['lycoris']"),
        ("adapter.formats = ['diffusers', 'lycoris']", "adapter.formats = ['diffusers']"),
    ],
    "CFG265": [
        ("adapter.dora = true; adapter.init = 'olora'", "adapter.init = 'olora'"),
        (
            "adapter.dora = true; adapter.init = 'pissa_niter_4'",
            "adapter.dora = true; adapter.init = 'gaussian'",
        ),
    ],
    "CFG266": [
        ("adapter.rank = 5; adapter.init = 'orthogonal'", "adapter.rank = 5"),
        (
            "adapter.overrides = [{module = 'to_q', rank = 3}]; adapter.init = 'orthogonal'",
            "adapter.overrides = [{module = 'to_q', rank = 2}]; adapter.init = 'orthogonal'",
        ),
    ],
    "CFG267": [
        (
            "adapter.lora_plus_ratio = 16.0; optimizer.name = 'prodigy'",
            "adapter.lora_plus_ratio = 16.0",
        )
    ],
    "CFG268": [("adapter.lora_plus_ratio = 0.5", "adapter.lora_plus_ratio = 16.0")],
    "CFG269": [
        (algo("lokr", NORM), f"{FULL_LOKR}; {NORM}"),
    ],
    "CFG270": [
        (
            algo("dylora", "adapter.lycoris.block_size = 3"),
            algo("dylora", "adapter.lycoris.block_size = 4"),
        ),
        (
            algo(
                "dylora",
                "adapter.lycoris.block_size = 4",
                "adapter.overrides = [{module = 'to_q', rank = 6}]",
            ),
            algo(
                "dylora",
                "adapter.lycoris.block_size = 2",
                "adapter.overrides = [{module = 'to_q', rank = 6}]",
            ),
        ),
    ],
    "CFG271": [("adapter.exclude = ['a(']", "adapter.exclude = ['a']")],
    "CFG272": [
        ("adapter.dora = true; optimizer.name = 'adamw_bf16'", "adapter.dora = true"),
    ],
    "CFG273": [(beside("{path = 'x.safetensors'}"), beside(f"{{{FILE}}}"))],
    "CFG274": [
        (beside(f"{{{FILE}, strength = 0.0}}"), beside(f"{{{FILE}, strength = -1.0}}")),
    ],
    "CFG275": [
        (beside(f"{{{FILE}}}", f"{{{FILE}}}"), beside(f"{{{FILE}}}", f"{{{FILE}, name = 'b'}}")),
    ],
    "CFG276": [
        (f"validation.adapters = [{{{FILE}}}]", beside(f"{{{FILE}}}")),
        (
            f"{PROMPT}; validation.adapters_only = true",
            f"{beside(f'{{{FILE}}}')}; validation.adapters_only = true",
        ),
        (
            f"{FULL}; {PROMPT}; validation.adapter_strength = 0.5",
            f"{PROMPT}; validation.adapter_strength = 0.5",
        ),
    ],
}
