"""How answers about adapter files are shown to people."""

from __future__ import annotations

from typing import Any

from sttui.cli import narrate
from sttui.format.columns import Column, attr, column
from sttui.format.values import number, size

MANY = 8


def _counted(counts: dict[str, int]) -> str:
    shown = [f"{name} × {count}" for name, count in list(counts.items())[:MANY]]
    rest = len(counts) - MANY
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "") or "–"


def _families(data: dict[str, Any]) -> str:
    return " or ".join(data["families"]) or "not known"


def _layers(value: Any) -> str:
    return str(len(value)) if isinstance(value, list) else str(value)


SUMMARY = (
    column("file"),
    Column("size", attr("num_bytes"), text=lambda d: size(d["num_bytes"])),
    Column("family", attr("families"), text=_families),
    column("layout"),
    Column("title", attr("title"), text=lambda d: d["title"] or "–"),
    *(
        Column(name, attr(name), text=lambda d, name=name: _counted(d[name]))
        for name in ("algorithms", "ranks", "alphas", "dtypes", "components", "targets")
    ),
    Column("layers", attr("layers"), text=lambda d: _layers(d["layers"])),
    Column("triggers", attr("triggers"), text=lambda d: _words(d["triggers"])),
    column("sha256"),
)
CHECK = (
    column("file"),
    column("layout"),
    Column("family", attr("families"), text=_families),
    column("layers"),
)
WRITTEN = (
    column("file"),
    column("family"),
    column("from"),
    column("layout"),
    Column("layers", attr("layers"), text=lambda d: _layers(d["layers"])),
    column("tensors"),
    column("rank"),
    Column("pruned", attr("pruned"), text=lambda d: _layers(d["pruned"])),
)
DIFF = (
    column("layer"),
    column("state"),
    Column("relative", attr("relative"), text=lambda r: number(r["relative"], 3), right=True),
    Column("ranks", attr("ranks"), text=lambda r: " / ".join(_rank(v) for v in r["ranks"])),
    Column(
        "norms",
        attr("norms"),
        text=lambda r: " / ".join("–" if v is None else number(v, 3) for v in r["norms"]),
        wide=True,
    ),
)


def _rank(value: int | None) -> str:
    return "–" if value is None else str(value)


def _words(found: list[dict[str, Any]]) -> str:
    shown = [t["word"] + (f" × {t['count']}" if t["count"] else "") for t in found[:MANY]]
    return ", ".join(shown) or "–"


def tell_inspected(data: dict[str, Any]) -> None:
    """The size of the change by block, as bars, and the keys of the header."""
    known = [row for row in data["blocks"] if row["norm"] is not None]
    most = max((row["norm"] for row in known), default=0.0)
    width = max((len(row["block"]) for row in known), default=0)
    narrate.say("size of the change by block:")
    for row in known:
        bar = "=" * round(30 * row["norm"] / most) if most else ""
        narrate.say(f"  {row['block'].ljust(width)}  {number(row['norm'], 3):>9}  {bar}")
    if data["metadata"]:
        narrate.say(f"header: {', '.join(sorted(data['metadata']))}")
