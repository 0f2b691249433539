"""Jobs that break the rules on memory and speed, and jobs that do not (see test_rules)."""

from __future__ import annotations

SD, PIXART = "model.family = 'sd1x'", "model.family = 'pixart'"
OFF = "compute.checkpointing.enabled = false"
OFFLOAD = "compute.checkpointing.mode = 'offload'"
ATTENTION, COMPILE = "compute.attention.backend", "compute.compile.backend = 'inductor'"
FUSED = "optimizer.fused_backward = true"
SWAP = "compute.offload.blocks = 4"
FULL = "model.mode = 'full'"
BASE = "compute.quant.base = 'int8-torchao'"

CASES: dict[str, list[tuple[str, str]]] = {
    "CFG280": [(f"{FULL}; {BASE}", BASE)],
    "CFG281": [],
    "CFG282": [
        (f"{PIXART}; compute.quant.base = 'nf4-bnb'", f"{PIXART}; {BASE}"),
        (f"{SD}; compute.quant.base = 'fp8-quanto'", "compute.quant.base = 'fp8-quanto'"),
    ],
    "CFG283": [
        (
            f"{SD}; compute.quant.text_encoders = ['none', 'int8-quanto']",
            "compute.quant.text_encoders = ['none', 'int8-quanto']",
        )
    ],
    "CFG284": [
        ("compute.quant.modulation = true", f"{BASE}; compute.quant.modulation = true"),
        ("compute.quant.keep = ['to_q']", f"{BASE}; compute.quant.keep = ['to_q']"),
        (
            "compute.quant.via = 'cpu'",
            "compute.quant.text_encoders = ['int8-quanto']; compute.quant.via = 'cpu'",
        ),
        (
            "compute.quant.text_encoders = ['int8-quanto']; compute.quant.keep = ['to_q']",
            f"{BASE}; compute.quant.keep = ['to_q']",
        ),
    ],
    "CFG286": [
        (f"{OFF}; compute.checkpointing.interval = 2", "compute.checkpointing.interval = 2"),
        (f"{OFF}; {OFFLOAD}", OFF),
    ],
    "CFG288": [
        (
            f"{SD}; compute.text_encoders = 'sequential'",
            "compute.text_encoders = 'sequential'",
        )
    ],
    "CFG289": [
        (f"{SWAP}; {FULL}", SWAP),
        (f"{SWAP}; {OFF}", SWAP),
        (f"{SWAP}; compute.checkpointing.interval = 2", SWAP),
    ],
    "CFG291": [
        ("compute.offload.ring = 3", f"{SWAP}; compute.offload.ring = 3"),
        (f"compute.device = 'cpu'; {SWAP}", f"compute.device = 'cuda'; {SWAP}"),
        ("compute.device = 'cpu'; compute.offload.vae = true", "compute.offload.vae = true"),
        (
            "compute.device = 'cpu'; compute.offload.text_encoders = true",
            "compute.offload.text_encoders = true",
        ),
    ],
    "CFG292": [
        (
            "compute.offload.text_encoders = true; compute.quant.text_encoders = ['int8-quanto']",
            "compute.offload.text_encoders = true; compute.quant.text_encoders = ['none']",
        )
    ],
    "CFG295": [
        (f"{ATTENTION} = 'sageattention'", f"{ATTENTION} = 'native'"),
        (f"compute.device = 'cpu'; {ATTENTION} = 'flash-attn'", f"{ATTENTION} = 'flash-attn'"),
        (f"compute.device = 'mps'; {ATTENTION} = 'cudnn'", f"{ATTENTION} = 'native-math'"),
    ],
    "CFG296": [
        ("compute.compile.dynamic = true", f"{COMPILE}; compute.compile.dynamic = true"),
        ("compute.compile.fullgraph = true", f"{COMPILE}; compute.compile.fullgraph = true"),
        (
            "compute.compile.backend = 'eager'; compute.compile.mode = 'max-autotune'",
            f"{COMPILE}; compute.compile.mode = 'max-autotune'",
        ),
    ],
    "CFG297": [(f"{COMPILE}; {SWAP}", COMPILE)],
    "CFG298": [(f"{COMPILE}; {BASE}", f"{COMPILE}; compute.quant.base = 'nf4-bnb'")],
    "CFG299": [
        (FUSED, f"{FUSED}; optimizer.clip = false"),
        (f"{FUSED}; optimizer.clip = false; train.accumulate = 2", "train.accumulate = 2"),
        (
            f"{FUSED}; optimizer.clip = false; optimizer.name = 'prodigy'",
            f"{FUSED}; optimizer.clip = false; optimizer.name = 'adamw8bit'",
        ),
    ],
    "CFG293": [(f"{SD}; {ATTENTION} = 'flex'", f"{ATTENTION} = 'flex'")],
    "CFG287": [(f"compute.device = 'cpu'; {OFFLOAD}", OFFLOAD)],
}
