"""Where the samples of small buckets go: leftover = "merge".

A bucket that does not fill a batch is emptied into a bucket of a similar shape, whose size its
pictures are then cut to. Pure arithmetic over sizes and counts; the plan applies the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from trainer.findings import Finding, finding

KEPT = 0.8  # share of a picture that must survive the other cut

Bucket = tuple[int, ...]  # width, height; what follows (frames) must be equal to be merged


def merges(counts: Mapping[Bucket, int], size: int, least: float = KEPT) -> dict[Bucket, Bucket]:
    """Old bucket to new one, for those that move; `counts` are draws per epoch, `size` is that of
    a batch.

    Each goes to the full bucket that keeps most of its pictures. Small ones without a full one
    near enough may fill a batch together; what fills none stays as it is, since its pictures
    would be cut for nothing.
    """
    full = {bucket for bucket, count in counts.items() if count >= size}
    small = {bucket: count for bucket, count in counts.items() if 0 < count < size}
    moved = {bucket: home for bucket in small if (home := _nearest([bucket], full, least))}
    return moved | _together({b: n for b, n in small.items() if b not in moved}, size, least)


def _together(small: Mapping[Bucket, int], size: int, least: float) -> dict[Bucket, Bucket]:
    """Small buckets that fill one of their own: the smallest group first joins the nearest."""
    members = {bucket: [bucket] for bucket in small}
    held, alone = dict(small), set[Bucket]()
    while joining := [b for b in held if held[b] < size and b not in alone]:
        bucket = min(joining, key=lambda b: (held[b], b))
        home = _nearest(members[bucket], held.keys() - {bucket}, least)
        if home is None:
            alone.add(bucket)
        else:
            members[home] += members.pop(bucket)
            held[home] += held.pop(bucket)
    full = {home: olds for home, olds in members.items() if held[home] >= size}
    return {old: home for home, olds in full.items() for old in olds if old != home}


def _nearest(olds: Sequence[Bucket], homes: Set[Bucket], least: float) -> Bucket | None:
    """The home that keeps most of the pictures of all `olds`, if that is enough."""
    shares = {home: min(kept(old, home) for old in olds) for home in homes}
    near = [home for home, share in shares.items() if share >= least]
    return min(near, key=lambda home: (-shares[home], home)) if near else None


def kept(old: Bucket, new: Bucket) -> float:
    """Share of a picture of shape `old` that a cut to shape `new` keeps."""
    if old[2:] != new[2:]:
        return 0.0
    ratio = (old[0] * new[1]) / (old[1] * new[0])
    return min(ratio, 1 / ratio)


def merge_remark(
    dataset: str,
    where: str,
    counts: Mapping[Bucket, int],
    moved: Mapping[Bucket, Bucket],
    size: int,
) -> Finding | None:
    """What merging did to the buckets of a dataset; None when it had nothing to do."""
    gone = sum(counts[bucket] for bucket in moved)
    held = {bucket: count for bucket, count in counts.items() if count and bucket not in moved}
    for old, new in moved.items():
        held[new] += counts[old]
    waiting = [bucket for bucket, count in held.items() if count < size]
    if not moved and not waiting:
        return None
    return finding(
        "DAT064",
        f"{dataset}: {len(moved)} small buckets ({gone} draws) are cut to the nearest shape"
        + (f"; {len(waiting)} have none near enough and wait to fill a batch" if waiting else ""),
        where=where,
        why=f"they hold fewer samples than a batch of {size}; at least {KEPT:.0%} of each picture "
        "is kept",
        fix="nothing to do; fewer shapes (crop.aspect) or repeats fill buckets as well",
        level="info",
        moved=gone,
        waiting=len(waiting),
    )
