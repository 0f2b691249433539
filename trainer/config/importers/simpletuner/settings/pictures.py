"""Validation pictures and the held-out loss.

They change nothing in training, so what the source leaves open keeps our defaults.
"""

from __future__ import annotations

from trainer.config.importers.simpletuner.options.run import VALIDATION
from trainer.config.importers.simpletuner.settings.adapter import load
from trainer.config.importers.simpletuner.translation import Translation
from trainer.config.importers.values import Kind

_NUMBERS: dict[str, tuple[str, Kind]] = {
    "num_validation_images": ("validation.images_per_prompt", "int"),
    "validation_num_inference_steps": ("validation.steps", "int"),
    "validation_guidance": ("validation.guidance", "float"),
    "validation_seed": ("validation.seed", "int"),
}
_ALL = [name for name, rule in VALIDATION.items() if rule.how == "handled"]


def validation(t: Translation) -> None:
    if t.read("validation_disable", "bool"):
        t.put("validation_disable", "validation.enabled", False)
        t.ignore(_ALL, "validation is turned off")
        return
    t.ignore(["validation_disable"], "it is off, as it is here")
    prompts = _prompts(t)
    if not prompts:
        t.ignore(_ALL, "there is no prompt to draw")
        return
    asked = t.carry("validation_step_interval", "validation.every_steps", "int")
    if not asked and not t.given("validation_epoch_interval"):
        t.put("validation_step_interval", "validation.every_steps", 100)
    _start(t)
    for name, (path, kind) in _NUMBERS.items():
        t.carry(name, path, kind, float if kind == "float" else lambda value: value)
    _negative(t)
    if t.given("validation_resolution"):
        _resolution(t)
    note = "an empty prompt is not drawn beside the others"
    t.ignore(["validation_disable_unconditional"], note)


def _prompts(t: Translation) -> list[str]:
    """The one prompt, and those of a library: name to prompt, or to a table with one."""
    found: list[str] = []
    if t.given("validation_prompt"):
        prompt = t.read("validation_prompt", "text")
        found += [prompt] if prompt else []
    if t.given("user_prompt_library"):
        library = load(t, t.source.value("user_prompt_library"))
        entries = library.values() if isinstance(library, dict) else ()
        texts = [e.get("prompt") if isinstance(e, dict) else e for e in entries]
        texts = [p for p in texts if isinstance(p, str) and p.strip()]
        plain = all(isinstance(e, str) for e in entries)
        if not texts:
            t.refuse("user_prompt_library", "it is not a table of prompts, or not there")
        elif plain:
            t.source.mapped("user_prompt_library", "validation.prompts")
        else:
            note = "prompts only; what else stands beside a prompt is left out"
            t.source.approximated("user_prompt_library", "validation.prompts", note)
        found += texts
    if found:
        t.draft.set("validation.prompts", found)
        t.source.mapped("validation_prompt", "validation.prompts")
    return found


def _start(t: Translation) -> None:
    """Pictures before the first step: asked for, or for comparison (the benchmark)."""
    asked = t.given("validation_on_startup") or t.given("disable_benchmark")
    at_start = t.read("validation_on_startup", "bool") or not t.read("disable_benchmark", "bool")
    if asked:
        t.draft.set("validation.at_start", at_start)
    for name in ("validation_on_startup", "disable_benchmark"):
        t.source.mapped(name, "validation.at_start")


def _negative(t: Translation) -> None:
    """A negative prompt acts where classifier-free guidance does."""
    guidance = t.draft.get("validation.guidance")
    guidance = t.facts.guidance if guidance is None and t.facts else guidance
    embedded = t.facts is not None and "guidance_embed" in t.facts.supports
    if embedded or (guidance is not None and guidance <= 1):
        t.ignore(["validation_negative_prompt"], "without classifier-free guidance it does not act")
    elif t.source.given("validation_negative_prompt"):
        text = t.source.value("validation_negative_prompt")
        t.put(
            "validation_negative_prompt",
            "validation.negative",
            text if isinstance(text, str) else "",
        )
    else:
        t.put(
            "validation_negative_prompt",
            "validation.negative",
            VALIDATION["validation_negative_prompt"].default,
        )


def _resolution(t: Translation) -> None:
    """`1024`, `1` (megapixels), `1280x768`, or several with commas: one square size here."""
    name, path = "validation_resolution", "validation.resolution"
    first, *others = str(t.source.value(name)).split(",")
    parts = first.lower().strip().split("x")
    try:
        edges = [float(part) for part in parts]
    except ValueError:
        edges = []
    if len(edges) not in (1, 2) or min(edges, default=0) <= 0 or max(edges) > 1e5:
        t.refuse(name, "it is not a size")
        return
    wanted = (
        edges[0] * 1000 if len(edges) == 1 and edges[0] < 128 else (edges[0] * edges[-1]) ** 0.5
    )
    wanted = 1024 if len(edges) == 1 and edges[0] == 1 else wanted
    multiple = t.facts.latent_multiple * t.facts.spatial_factor if t.facts else 16
    edge = max(multiple, round(wanted / multiple) * multiple)
    note = f"a square; SimpleTuner draws at {t.source.value(name)}"
    t.put(
        name,
        path,
        f"{edge}px",
        note=note,
        approx=bool(others) or edge != edges[0] or len(set(edges)) > 1,
    )


def evaluation(t: Translation, has_held_out: bool) -> None:
    names = ("eval_steps_interval", "num_eval_images", "eval_timesteps")
    if not has_held_out:
        t.ignore([*names, "eval_loss_disable", "eval_dataset_id"], "there is no held-out dataset")
        return
    for name, path in zip(
        names, ("eval.every_steps", "eval.samples", "eval.timesteps"), strict=True
    ):
        t.carry(name, path, "int")
    if t.given("eval_loss_disable"):
        if t.read("eval_loss_disable", "bool"):
            t.refuse(
                "eval_loss_disable", "held-out datasets are measured; set their enabled = false"
            )
        t.source.ignored("eval_loss_disable", "it is off, as it is here")
    t.source.unsupported("eval_dataset_id", "all held-out datasets are measured")
