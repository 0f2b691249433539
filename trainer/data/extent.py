"""Whether the denoiser has positions for all sizes: asked before anything is encoded.

A denoiser with a learned table of positions cannot see pictures beyond it. How large the table is
stands in the checkpoint's configuration alone, so no rule on the job file can know.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trainer.data.buckets import sizes_of
from trainer.data.table import Table
from trainer.errors import ConfigError
from trainer.findings import Finding, finding


def demand_positions(
    tables: Sequence[Table], drawn: tuple[int, int] | None, largest: int | None
) -> None:
    """ConfigError when a side of a bucket, or of the validation pictures, is longer than `largest`
    pixels."""
    if largest is None:
        return
    found = list(_beyond(tables, drawn, largest))
    if found:
        raise ConfigError(*found)


def _beyond(
    tables: Sequence[Table], drawn: tuple[int, int] | None, largest: int
) -> Iterator[Finding]:
    for table in tables:
        sizes = [(width, height) for width, height, _ in sizes_of(table)[0]]
        longest = max(sizes, key=max, default=(0, 0))
        if max(longest) > largest:
            many = sum(max(size) > largest for size in sizes)
            what = f"{table.dataset.id}: {many} of {len(sizes)} training sizes, as"
            yield _finding(what, longest, largest, "data.datasets", "keep shapes nearer a square")
    if drawn is not None and max(drawn) > largest:
        yield _finding("validation pictures of", drawn, largest, "validation.resolution")


def _finding(
    what: str, size: tuple[int, int], largest: int, where: str, or_else: str = ""
) -> Finding:
    return finding(
        "CFG200",
        f"{what} {size[0]}x{size[1]}, are beyond the {largest} pixels a side of this checkpoint",
        where=where,
        why="its denoiser has learned no positions there",
        fix="lower the resolution" + (f", or {or_else} (crop, max_aspect)" if or_else else ""),
    )
