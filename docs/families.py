"""docs/reference/families.md: what is known of every family, and what its suite shows."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.conformance import CHECKS
from trainer import catalog
from trainer.config.presets import family_note

HEAD = """# Model families

Generated from `trainer/catalog/families/` by `make docs`; do not edit.

A family is listed here when the whole family suite passes on it: on a tiny model of its real
classes, with the text, the latents, the call and the files compared with diffusers' own.
`make test` prints the table of families and checks that it ran.
"""


def families_page() -> str:
    return "".join([HEAD, *_overview(), *_checks(), *_each()])


def _overview() -> Iterator[str]:
    yield "\n| Family | Key | Learns | Looks at pictures | Control nets | Latents "
    yield "| Pixels in multiples of |\n"
    yield "|---|---|---|---|---|---|---|\n"
    for key in sorted(catalog.FAMILIES):
        facts = catalog.family_facts(key)
        edits = "yes" if "conditioning" in facts.supports else "–"
        latents = f"{facts.latent_channels} channels at 1/{float(facts.spatial_factor):g}"
        cells = (
            facts.display_name,
            f"`{key}`",
            "flow" if facts.prediction == "flow" else facts.prediction.value.replace("_", " "),
            edits,
            "yes" if "controlnet" in facts.supports else "–",
            latents,
            str(facts.pixel_multiple),
        )
        yield f"| {' | '.join(cells)} |\n"


def _checks() -> Iterator[str]:
    yield "\n## What the suite shows of each\n\n| Check | Property |\n|---|---|\n"
    for name, meaning in CHECKS.items():
        yield f"| {name} | {meaning} |\n"


def _each() -> Iterator[str]:
    for key in sorted(catalog.FAMILIES):
        facts, note = catalog.family_facts(key), family_note(key)
        yield f"\n## {key}: {note.name}\n\n{note.needs} Licence: {note.licence}.\n\n"
        yield "| Flavour | Weights | Licence |\n|---|---|---|\n"
        for name, flavour in facts.flavours.items():
            gated = ", gated" if flavour.gated else ""
            default = " (default)" if name == facts.default_flavour else ""
            yield f"| `{name}`{default} | `{flavour.repo}` | {flavour.licence}{gated} |\n"
        yield "\nTarget presets of adapters: "
        yield ", ".join(f"`{name}`" for name in facts.lora_targets) + ".\n"
        yield "Places of LyCORIS adapters: "
        yield ", ".join(f"`{name}`" for name in facts.lycoris_presets) + ".\n"
