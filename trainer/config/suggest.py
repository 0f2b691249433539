"""Did you mean: the known names nearest to a wrong one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def distance(a: str, b: str) -> int:
    """Edits between two words; a swap of neighbours counts once (optimal string alignment)."""
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _tokens(name: str) -> set[str]:
    return set(re.split(r"[_.\s]+", name)) - {""}


def nearest(word: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Up to `limit` known names: within two edits, or sharing most of their words.

    A name that is equal but for case and dashes stands alone; two edits of a very short name
    would leave nothing of it, so at least one letter has to remain.
    """
    low = _plain(word)
    scored = []
    for name in known:
        other = _plain(name)
        edits = distance(low, other)
        ours, theirs = _tokens(low), _tokens(other)
        shared = len(ours & theirs) / max(1, len(ours | theirs))
        ratio = difflib.SequenceMatcher(None, low, other).ratio()
        close = edits <= 2 and edits < min(len(low), len(other))
        if edits == 0 or close or (edits == 1 and len(low) > 1) or max(shared, ratio) >= 0.8:
            scored.append((edits, -shared, -ratio, name))
    scored.sort()
    if scored and scored[0][0] == 0:
        scored = scored[:1]
    return [name for *_, name in scored[:limit]]
