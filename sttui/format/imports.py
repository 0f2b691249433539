"""An import as text: what became of every source key, and what the run means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sttui.format.columns import column

if TYPE_CHECKING:
    from trainer.config.importers.report import Imported, KeyRecord

KEY_COLUMNS = (
    column("status"),
    column("key"),
    column("to"),
    column("note"),
    column("where", wide=True),
)

_MEANINGS = {
    "mapped": "the same here",
    "approximated": "nearly the same; the note says what differs",
    "unsupported": "left out, and the run differs",
    "ignored": "not needed here",
}


def report_lines(imported: Imported) -> Iterator[str]:
    """Keys by status, then the meaning of the run and the defaults that were written out."""
    from trainer.config.importers.report import STATUSES

    for status in STATUSES:
        records = [k for k in imported.keys if k.status == status]
        if records:
            yield f"{status} ({len(records)}): {_MEANINGS[status]}"
            yield from _aligned([_cells(k) for k in records])
            yield ""
    if imported.semantics:
        yield "what the run means"
        yield from _aligned([["", "source", "here", ""], *_figures(imported)])
    if imported.defaults:
        yield ""
        yield "written out, because the source leaves it to its program"
        yield from _aligned([[d.key, _text(d.value), f"→ {d.to}"] for d in imported.defaults])


def counts(keys: Sequence[KeyRecord]) -> str:
    """`23 mapped, 2 approximated, 1 unsupported, 9 ignored`."""
    from trainer.config.importers.report import STATUSES

    return ", ".join(f"{sum(k.status == s for k in keys)} {s}" for s in STATUSES)


def _cells(record: KeyRecord) -> list[str]:
    place = f" ({record.where})" if record.where and record.status == "unsupported" else ""
    target = f"→ {record.to}" if record.to else ""
    return [record.key, target, f"{record.note}{place}".strip()]


def _figures(imported: Imported) -> list[list[str]]:
    rows = []
    for name, figure in imported.semantics.items():
        sign = "" if figure.equal else "differs; "
        rows.append(
            [name.replace("_", " "), _text(figure.source), _text(figure.here), sign + figure.note]
        )
    return rows


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "–" if value is None else str(value)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows indented by two, in columns two apart; columns without text take no room."""
    from rich.cells import cell_len, set_cell_size

    widths = [max(map(cell_len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        cells = [set_cell_size(c, w) for c, w in zip(row, widths, strict=True) if w]
        yield f"  {'  '.join(cells)}".rstrip()
