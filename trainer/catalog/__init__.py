"""Names a configuration may use, and where the code behind each of them lives.

Nothing heavy is imported here: a name maps to `module:attribute`, loaded when it is used. Adding
a family, an optimiser or a schedule is one file and one line in this table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.catalog.facts import FamilyFacts

FAMILIES: dict[str, str] = {
    "auraflow": "trainer.models.auraflow:AuraFlow",
    "chroma": "trainer.models.chroma:Chroma",
    "cogview4": "trainer.models.cogview4:CogView4",
    "cosmos2": "trainer.models.cosmos2:Cosmos2",
    "deepfloyd": "trainer.models.deepfloyd:DeepFloyd",
    "flux": "trainer.models.flux:Flux",
    "flux2": "trainer.models.flux2:Flux2",
    "hidream": "trainer.models.hidream:HiDream",
    "kandinsky5_image": "trainer.models.kandinsky5_image:Kandinsky5Image",
    "kolors": "trainer.models.kolors:Kolors",
    "longcat_image": "trainer.models.longcat_image:LongCatImage",
    "lumina2": "trainer.models.lumina2:Lumina2",
    "omnigen": "trainer.models.omnigen:OmniGen",
    "pixart": "trainer.models.pixart:PixArt",
    "qwen_image": "trainer.models.qwen_image:QwenImage",
    "sana": "trainer.models.sana:Sana",
    "sd1x": "trainer.models.sd1x:SD1X",
    "sd2x": "trainer.models.sd2x:SD2X",
    "sd3": "trainer.models.sd3:SD3",
    "sdxl": "trainer.models.sdxl:SDXL",
    "stable_cascade": "trainer.models.stable_cascade:StableCascade",
    "z_image": "trainer.models.z_image:ZImage",
}


@dataclass(frozen=True, slots=True)
class OptimizerEntry:
    """What the configuration needs to know about an optimiser without importing it."""

    path: str
    summary: str
    args: dict[str, Any] = field(default_factory=dict)
    default_lr: dict[str, float] = field(default_factory=dict)
    self_averaging: bool = False
    bf16_weights: bool = False
    packages: tuple[str, ...] = ()
    extra: str = "train"  # of our package, which brings them
    one_by_one: bool = False  # treats every weight by itself, so it may act within backward


_ADAM = {"betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01}


def _rates(adapter: float, whole: float) -> dict[str, float]:
    """Usual learning rates by mode; a control net copies whole layers and learns like them."""
    return {"adapter": adapter, "full": whole, "controlnet": whole}


_ADAM_LR = _rates(1e-4, 1e-5)


def _quantised(path: str, summary: str) -> OptimizerEntry:
    """An AdamW whose states take fewer bits."""
    return OptimizerEntry(
        f"trainer.optim.{path}",
        summary,
        args=_ADAM,
        default_lr=_ADAM_LR,
        packages=("bitsandbytes" if path.startswith("eight") else "torchao",),
        extra="quant",
        one_by_one=True,
    )


OPTIMIZERS: dict[str, OptimizerEntry] = {
    "adamw": OptimizerEntry(
        "trainer.optim.adamw:build",
        "AdamW (torch, fused) on fp32 weights",
        args=_ADAM,
        default_lr=_ADAM_LR,
        one_by_one=True,
    ),
    "adamw8bit": _quantised("eight_bit:adamw", "AdamW with 8-bit states (bitsandbytes)"),
    "adamw8bit_paged": _quantised(
        "eight_bit:paged_adamw", "the same, states in host memory when the device is full"
    ),
    "ao_adamw8bit": _quantised("low_bit:adamw_8bit", "AdamW with 8-bit states (torchao)"),
    "ao_adamw4bit": _quantised("low_bit:adamw_4bit", "AdamW with 4-bit states (torchao)"),
    "ao_adamwfp8": _quantised("low_bit:adamw_fp8", "AdamW with fp8 states (torchao)"),
    "lion8bit": OptimizerEntry(
        "trainer.optim.eight_bit:lion",
        "Lion with an 8-bit state (bitsandbytes): steps of one size, by sign",
        args={"betas": [0.9, 0.99], "weight_decay": 0.01},
        default_lr=_rates(3e-5, 3e-6),
        packages=("bitsandbytes",),
        extra="quant",
        one_by_one=True,
    ),
    "adamw_bf16": OptimizerEntry(
        "trainer.optim.adamw_bf16:build",
        "AdamW on bf16 weights and states with stochastic rounding",
        args=_ADAM,
        default_lr=_ADAM_LR,
        bf16_weights=True,
    ),
    "prodigy": OptimizerEntry(
        "trainer.optim.prodigy:build",
        "Prodigy: estimates its own step size, lr is a multiplier and stays 1",
        args={
            "betas": [0.9, 0.99],
            "eps": 1e-8,
            "weight_decay": 0.01,
            "d_coef": 1.0,
            "d0": 1e-6,
            "use_bias_correction": True,
            "safeguard_warmup": True,
        },
        default_lr=_rates(1.0, 1.0),
        packages=("prodigyopt",),
    ),
    "schedulefree": OptimizerEntry(
        "trainer.optim.schedulefree:build",
        "Schedule-free AdamW: averages its own iterates, needs no schedule",
        args={"betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0, "warmup_steps": 0},
        default_lr=_rates(5e-4, 5e-5),
        self_averaging=True,
        packages=("schedulefree",),
    ),
}

SCHEDULES: dict[str, str] = {
    "constant": "the same rate throughout",
    "linear": "straight line from lr to end_lr",
    "cosine": "half a cosine from lr to end_lr",
    "cosine_with_restarts": "`cycles` half cosines, each starting at lr again",
    "polynomial": "lr falls to end_lr with exponent `power`",
    "sine": "`cycles` full waves between end_lr and lr, starting at lr",
}


def load(path: str) -> Any:
    """Import `module:attribute`."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)


def load_class(dotted: str) -> Any:
    """Import a class by its full name, as the facts of families write it."""
    module, _, name = dotted.rpartition(".")
    return load(f"{module}:{name}")


def family_facts(key: str) -> FamilyFacts:
    """The frozen facts of a family (no torch)."""
    return import_module(f"trainer.catalog.families.{key}").FACTS
