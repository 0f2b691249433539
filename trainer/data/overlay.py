"""A file of second thoughts about a dataset: samples left out, captions replaced.

`stune data lint --fix` writes it, people edit it, the trainer honours it
(`data.datasets[].overlay`); the dataset itself is never touched. It is two tables:

    [exclude]
    "cats/7.png" = "the same bytes as cats/3.png"

    [captions]
    "cats/9.png" = "a black cat on a chair"     # or a list, for variants
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from trainer.data.index import Row
from trainer.data.sources.base import VARIANT
from trainer.findings import Finding, finding

EXAMPLES = 20
UNREAD = ("filename", "instanceprompt")  # caption sources that stored captions do not reach


@dataclass(frozen=True, slots=True)
class Overlay:
    """`exclude`: name -> reason; `captions`: name -> variants. Names as the index shows them."""

    exclude: Mapping[str, str] = field(default_factory=dict)
    captions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    path: str = ""

    def __bool__(self) -> bool:
        return bool(self.exclude or self.captions)

    @property
    def digest(self) -> str:
        """Of what it changes: reasons, order and the place of the file do not matter."""
        parts = (sorted(self.exclude), sorted(self.captions.items()))
        return blake2b(repr(parts).encode(), digest_size=12).hexdigest()


def apply_overlay(
    overlay: Overlay,
    rows: Iterable[Row],
    *,
    lose: Callable[[str, str], None] | None = None,
    met: set[str] | None = None,
) -> Iterator[Row]:
    """The rows that are kept, with their new captions.

    `lose` is told name and reason of each sample left out; `met` collects the names that were
    found, for `unknown_names`.
    """
    for row in rows:
        reason = overlay.exclude.get(row.relpath)
        texts = overlay.captions.get(row.relpath)
        if met is not None and (reason is not None or texts is not None):
            met.add(row.relpath)
        if reason is not None:
            if lose is not None:
                lose(row.relpath, reason or "left out by the overlay")
            continue
        if texts is not None:
            row = row._replace(text=VARIANT.join(texts), text_reason=None)
        yield row


def unknown_names(overlay: Overlay, met: set[str], dataset: str) -> list[Finding]:
    """A warning when the overlay names samples that were not met."""
    missing = sorted((overlay.exclude.keys() | overlay.captions.keys()) - met)
    if not missing:
        return []
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return [
        finding(
            "DAT097",
            f"the overlay of {dataset} names {missing[0]}{more}, which the dataset does not have",
            where=overlay.path,
            why="such a line has no effect",
            fix="correct the name, or remove the line",
            level="warn",
            count=len(missing),
            names=missing[:EXAMPLES],
        )
    ]


def without_effect(overlay: Overlay, caption_source: str, dataset: str) -> list[Finding]:
    """A warning when captions are replaced that the dataset never reads."""
    if not overlay.captions or caption_source not in UNREAD:
        return []
    return [
        finding(
            "DAT099",
            f"{dataset} takes its captions from {caption_source}, so the {len(overlay.captions)} "
            "captions of its overlay have no effect",
            where=overlay.path,
            fix='set caption.source = "textfile", or remove [captions] from the overlay',
            level="warn",
        )
    ]


def joined(old: Overlay, new: Overlay) -> Overlay:
    """Both; where they disagree, the old one stays: a person may have written it."""
    captions = {**new.captions, **old.captions}
    exclude = {**new.exclude, **old.exclude}
    return Overlay(exclude, {n: t for n, t in captions.items() if n not in exclude}, old.path)
