"""Pairs and masks: partners without a sample, samples without a partner, sizes, empty masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trainer.data.lint.flag import Flag, Group, Sample
from trainer.data.sources.names import partner_name

SHAPE = 0.02  # relative difference of width / height that rounding explains


def check_pairs(all_groups: Sequence[Group]) -> Iterator[Flag]:
    """Every dataset with the datasets its samples are paired with."""
    by_id = {group.id: group for group in all_groups}
    wanted: dict[str, list[Group]] = {}
    for group in all_groups:
        for conditioning in group.settings.conditioning:
            partners = by_id.get(conditioning.dataset or "")
            if partners is None:
                continue
            wanted.setdefault(partners.id, []).append(group)
            yield from _compared(group, partners, strict=conditioning.match == "strict")
    for name, owners in wanted.items():
        yield from _orphans(by_id[name], owners)
    for group in all_groups:
        if group.dataset.role == "mask":
            yield from _masks(group)


def _named(group: Group) -> dict[str, Sample]:
    return {partner_name(s.relpath, group.settings.suffix): s for s in group.samples}


def _compared(group: Group, partners: Group, *, strict: bool) -> Iterator[Flag]:
    others = _named(partners)
    for name, sample in _named(group).items():
        partner = others.get(name)
        if partner is None:
            yield group.flag("DAT090", sample, f"no partner in {partners.id}", other=partners.id)
            continue
        ours, theirs = (sample.width, sample.height), (partner.width, partner.height)
        if not strict or ours == theirs or 0 in (*ours, *theirs):
            continue
        shape = abs(ours[0] * theirs[1] / (ours[1] * theirs[0]) - 1)
        what = "other shape" if shape > SHAPE else "other size"
        other = f"{partners.id}/{partner.relpath}"
        sizes = f"{ours[0]} x {ours[1]} and {theirs[0]} x {theirs[1]}"
        yield group.flag("DAT091", sample, f"{what} than {other}: {sizes}", other=other)


def _orphans(partners: Group, owners: Sequence[Group]) -> Iterator[Flag]:
    known = {name for owner in owners for name in _named(owner)}
    whose = ", ".join(owner.id for owner in owners)
    for name, partner in _named(partners).items():
        if name not in known:
            yield partners.flag("DAT090", partner, f"no sample of this name in {whose}")


def _masks(group: Group) -> Iterator[Flag]:
    for sample in group.pictures:
        assert sample.measures is not None
        if sample.measures.highest <= 8:
            yield group.flag("DAT092", sample, "empty: everything is black")
        elif sample.measures.lowest >= 247:
            yield group.flag("DAT092", sample, "full: everything is white")
