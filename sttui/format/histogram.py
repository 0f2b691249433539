"""Histograms of a terminal: one line per class, with a bar of block characters.

Eighths of a cell are drawn, so small differences stay visible; `plain` draws whole cells of "#"
for terminals and logs that know no blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

WIDTH = 80
BLOCKS = " ▏▎▍▌▋▊▉"
FULL = "█"


def bar(share: float, cells: int, *, plain: bool = False) -> str:
    """A bar of `share` (0 to 1) of `cells`; what is not nothing shows at least a trace."""
    share = min(1.0, max(0.0, share))
    if plain:
        return "#" * max(round(share * cells), 1 if share > 0 else 0)
    eighths = max(round(share * cells * 8), 1 if share > 0 else 0)
    whole, rest = divmod(eighths, 8)
    return FULL * whole + (BLOCKS[rest] if rest else "")


def histogram(
    classes: Sequence[tuple[str, int]],
    *,
    total: int | None = None,
    width: int = WIDTH,
    plain: bool = False,
    indent: int = 2,
) -> list[str]:
    """Lines `label  bar  count  share` of at most `width` cells; the largest class fills the bar.

    Shares are of `total`, which is the sum of the classes unless they overlap.
    """
    if not classes:
        return []
    if total is None:
        total = sum(count for _, count in classes)
    largest = max(count for _, count in classes)
    label = max(len(name) for name, _ in classes)
    number = len(str(largest))
    cells = max(4, width - indent - label - number - 9)
    lines = []
    for name, count in classes:
        drawn = bar(count / largest if largest else 0.0, cells, plain=plain).ljust(cells)
        share = f"{100 * count / total:3.0f}%" if total else "  0%"
        lines.append(f"{' ' * indent}{name:>{label}}  {drawn}  {count:>{number}} {share}")
    return lines
