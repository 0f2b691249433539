"""Conditioning and masks: which samples go together, and partners that are made.

A partner dataset is linked from its samples (`conditioning_data`), or links back to them
(`source_dataset_id`); here the samples name their partners.
"""

from __future__ import annotations

from typing import Any

from trainer.catalog.generators import GENERATORS, Option, expected, wrong_value
from trainer.config.importers import values
from trainer.config.importers.simpletuner.datasets.entry import Entry
from trainer.config.importers.simpletuner.translation import Translation

MASKS = ("mask", "segmentation")
MADE = {
    **dict.fromkeys(("superresolution", "super_resolution", "lowres"), "low_resolution"),
    **dict.fromkeys(("jpeg_artifacts", "jpeg", "compression"), "jpeg"),
    **dict.fromkeys(("random_masks", "masks", "inpainting"), "random_masks"),
    **dict.fromkeys(("canny", "edges"), "canny"),
    **dict.fromkeys(("depth", "depth_map", "depth_midas"), "depth"),
    "i2v_first_frame": "first_frame",
}
RENAMED = {
    "edge_feather": "feather",
    "high_threshold": "high",
    "invert_mask": "invert",
    "low_threshold": "low",
}


def role_of(entry: Entry) -> str:
    """Role of a partner dataset: a mask acts on the loss, everything else is looked at."""
    kind = entry.read("conditioning_type", "text", "controlnet")
    role = "mask" if kind in MASKS else "conditioning"
    entry.source.mapped("conditioning_type", f"{entry.path}.role")
    return role


def partners(entry: Entry, others: dict[str, Entry]) -> None:
    """The partners of an entry of samples."""
    wanted = [str(i) for i in values.texts(entry.source.value("conditioning_data")) or []]
    count = 0
    for name in dict.fromkeys([*wanted, *_linked_back(entry, others)]):
        partner = others.get(name)
        if partner is None or not partner.is_partner:
            entry.refuse("conditioning_data", f"there is no conditioning dataset {name!r}")
        elif why := _useless(entry, partner):
            entry.source.unsupported("conditioning_data", why)
            partner.source.unsupported("source_dataset_id", why)
        else:
            count = _link(entry, partner, count)
    entry.source.mapped("conditioning_data", f"{entry.path}.conditioning")
    _made(entry, count)


def _linked_back(entry: Entry, others: dict[str, Entry]) -> list[str]:
    own = entry.read("id", "text")
    return [i for i, o in others.items() if own and o.read("source_dataset_id", "text") == own]


def _useless(entry: Entry, partner: Entry | None, makes: str = "") -> str:
    """Why a partner would not be used; empty when it would."""
    facts = entry.run.facts
    role = partner.role if partner is not None else makes
    flavour = entry.run.draft.get("model.flavour")
    looks = entry.run.draft.get("model.mode") == "controlnet"
    looks = looks or (facts is not None and facts.looks_at_pictures(flavour))
    if role == "conditioning" and facts is not None and not looks:
        return f"{facts.display_name} does not look at conditioning pictures here"
    if partner is not None and entry.run.draft.get(f"{partner.path}.enabled") is False:
        return f"{partner.id} is disabled"
    if role == "mask" and entry.role == "eval":
        return "a held-out loss is measured on whole pictures"
    return ""


def masks(t: Translation, entries: list[Entry]) -> None:
    """How often masks act, and partners that found no samples."""
    name = "masked_loss_probability"
    used = [
        e for e in entries if e.role == "mask" and t.draft.get(f"{e.path}.enabled") is not False
    ]
    drawn = [e for e in used if e.read("conditioning_type", "text") == "segmentation"]
    if drawn:
        t.carry(name, "loss.mask.probability", "float", float)
    t.source.ignored(name, "it acts on masks of type segmentation only")
    for entry in entries:
        if entry.is_partner:
            entry.source.ignored("source_dataset_id", "the dataset that it names is not there")


def has_own_size(entry: Entry) -> bool:
    """Whether a partner is not cut as its sample."""
    kind = entry.read("conditioning_type", "text", "controlnet")
    editing = entry.run.editing
    laid_over = editing is not None and editing.cut_alike
    return kind in ("controlnet", "reference_loose") and not laid_over


def looked_at(entry: Entry) -> bool:
    """Whether the family makes use of a partner dataset at all."""
    return not _useless(entry, entry)


def _link(entry: Entry, partner: Entry, count: int) -> int:
    key = f"conditioning[{count}]"
    entry.set(f"{key}.dataset", partner.id)
    if has_own_size(partner):
        entry.set(f"{key}.match", "loose")
    if partner.read("conditioning_type", "text") == "segmentation":
        entry.set(f"{key}.options", {"segmentation": True})
    partner.source.mapped("source_dataset_id", f"{entry.path}.{key}.dataset")
    return count + 1


def _made(entry: Entry, count: int) -> None:
    """Partners that are made from their samples."""
    names = [n for n in entry.source.names() if n.startswith("conditioning")]
    blocks = dict.fromkeys(
        n.rpartition(".")[0] for n in names if n.startswith(("conditioning[", "conditioning."))
    )
    for block in blocks:
        if "." in block:  # a table inside a generator
            continue
        kind = MADE.get(str(entry.read(f"{block}.type", "text", "")).strip().lower())
        makes = GENERATORS[kind].makes if kind else ""
        if kind is None:
            entry.refuse(f"{block}.type", "it cannot be made here")
        elif why := _useless(entry, None, makes):
            entry.source.unsupported(f"{block}.type", why)
            kind = None
        if kind is None:
            entry.ignore((block,), "its partners are not made here")
            continue
        key = f"conditioning[{count}]"
        entry.put(f"{block}.type", f"{key}.generate", kind)
        _options(entry, block, key, kind)
        count += 1


def _options(entry: Entry, block: str, key: str, kind: str) -> None:
    """The settings of a generator, under their names here."""
    known = GENERATORS[kind].options
    options: dict[str, Any] = {}
    for name in [n for n in entry.source.open_names() if n.startswith(f"{block}.")]:
        theirs = name.removeprefix(f"{block}.")
        ours = RENAMED.get(theirs, theirs)
        if ours not in known or not entry.given(name):
            continue
        other, wanted = known[ours].only_with or (ours, None)
        if other != ours and entry.read(f"{block}.{other}", "text", known[other].default) != wanted:
            entry.source.ignored(name, f"it acts only with {other} {wanted}")
            continue
        value = _typed(entry.source.value(name), known[ours])
        wrong = expected(known[ours]) if value is None else wrong_value(known[ours], value)
        if wrong:
            entry.refuse(name, f"it must be {wrong}")
            continue
        options[ours] = value
        entry.source.mapped(name, f"{entry.path}.{key}.options.{ours}")
    if kind == "low_resolution" and entry.read(f"{block}.add_noise", "bool", True) is False:
        options["noise_level"] = 0.0
    entry.source.mapped(f"{block}.add_noise", f"{entry.path}.{key}.options.noise_level")
    if options:
        entry.set(f"{key}.options", options)
    for name in entry.source.open_names():
        if name.startswith(f"{block}."):
            entry.source.unsupported(name, f"{kind} has no such option here")


def _typed(value: Any, option: Option) -> Any:
    """A value that may be written as text, as the option wants it."""
    if option.type is bool:
        return values.boolean(value)
    if option.type in (int, float):
        return values.number(value)
    return value
