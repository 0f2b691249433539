"""Pairs and masks: partners without a sample, samples without a partner, shapes, empty masks.

The same rules as when training pairs them, but over all samples, and every one is listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trainer.data.geometry import place, place_like
from trainer.data.lint.flag import Flag, Group, Sample
from trainer.data.sources.names import partner_name

BLACK, WHITE = 8, 247  # of 255: what compression makes of pure black and white


def check_pairs(all_groups: Sequence[Group]) -> Iterator[Flag]:
    """Every dataset with the datasets that its samples are paired with."""
    by_id = {group.id: group for group in all_groups}
    owners: dict[str, list[Group]] = {}
    for group in all_groups:
        for spec in group.dataset.partners:
            if (partners := by_id.get(spec.dataset or "")) is not None:
                owners.setdefault(partners.id, []).append(group)
                yield from _compared(group, partners, strict=spec.strict)
    for name, own in owners.items():
        yield from _orphans(by_id[name], own)
    for group in all_groups:
        if group.dataset.role == "mask":
            yield from _masks(group)


def _named(group: Group) -> dict[str, Sample]:
    """Samples by what they have in common with their partners."""
    return {partner_name(s.relpath, group.dataset.suffix): s for s in group.samples}


def _compared(group: Group, partners: Group, *, strict: bool) -> Iterator[Flag]:
    others = _named(partners)
    for sample in group.samples:
        partner = others.get(partner_name(sample.relpath, None))
        if partner is None:
            yield group.flag("DAT018", sample, f"it has none in {partners.id}")
            continue
        if not strict or not (min(sample.size) and min(partner.size)):
            continue
        placement = place(*sample.size, group.dataset.geometry)
        if place_like(partner.size, sample.size, placement) is None:
            (width, height), (across, down) = sample.size, partner.size
            other = f"{partners.id}/{partner.relpath}"
            sizes = f"{width} x {height}, but {across} x {down} in {partners.id}"
            yield group.flag("DAT019", sample, sizes, other=other)


def _orphans(partners: Group, owners: Sequence[Group]) -> Iterator[Flag]:
    known = {partner_name(s.relpath, None) for owner in owners for s in owner.samples}
    whose = ", ".join(owner.id for owner in owners)
    for name, partner in _named(partners).items():
        if name not in known:
            yield partners.flag("DAT015", partner, f"no sample of this name in {whose}")


def _masks(group: Group) -> Iterator[Flag]:
    for sample in group.pictures:
        assert sample.measures is not None
        if sample.measures.highest <= BLACK:
            yield group.flag("DAT092", sample, "empty: everything is black")
        elif sample.measures.lowest >= WHITE:
            yield group.flag("DAT092", sample, "full: everything is white")
