"""The documents of `stune data` as text of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sttui.format.histogram import WIDTH, histogram
from sttui.format.values import number, size

LISTED = 20  # names that are printed of a longer list


def scan_text(data: Mapping[str, Any], *, plain: bool) -> str:
    """The funnel of every dataset and what was left out."""
    return _sections(_scan(d, plain) for d in data["datasets"])


def _scan(d: Mapping[str, Any], plain: bool) -> list[str]:
    arrow = "->" if plain else "→"
    stages = [
        ("readable", d["readable"]),
        ("size", d["large_enough"]),
        ("caption", d["captioned"]),
        *([] if d["paired"] is None else [("pair", d["paired"])]),
        ("used", d["used"]),
    ]
    funnel = f" {arrow} ".join([f"found {d['found']}", *(f"{n} {c}" for n, c in stages)])
    lines = [_head(d), f"  {funnel}"]
    lines += [f"  {count} {stage}" for stage, count in d["lost"].items()]
    for name in ("quarantine", "excluded"):
        if d[name]:
            lines.append(f"  {name}:")
            lines += _cut([f"    {entry['path']}: {entry['reason']}" for entry in d[name]])
    return lines


def stats_text(data: Mapping[str, Any], *, plain: bool) -> str:
    """Counts, sizes and histograms of every dataset, and the sums."""
    total = data["total"]
    pictures = size(total["cache_bytes"])
    lines = [
        f"{total['used']} of {total['found']} samples used, {size(total['bytes'])} of files",
        f"cache, about: pictures {pictures}, texts {size(total['text_cache_bytes'])}",
    ]
    return _sections([*(_stats(d, plain) for d in data["datasets"]), lines])


def _stats(d: Mapping[str, Any], plain: bool) -> list[str]:
    formats = ", ".join(f"{name} {count}" for name, count in d["formats"].items())
    lines = [
        _head(d),
        f"  used       {d['used']} of {d['found']}",
        f"  formats    {formats or '–'}",
    ]
    for name in ("width", "height"):
        if d[name]:
            lines.append(f"  {name:<9}  {_range(d[name])} px")
    if d["duration_s"]:
        lines.append(f"  duration   {_range(d['duration_s'])} s")
    if d["captions"]:
        lines.append(f"  caption    {_range(d['captions'])} words")
    if d["enlarged"]:
        lines.append(f"  enlarged   {d['enlarged']} are smaller than the training size")
    for title, name in (
        ("edge of a square of the same area", "sizes"),
        ("width : height", "aspects"),
        ("seconds", "durations"),
        ("words of a caption", "caption_words"),
    ):
        lines += _histogram(title, d[name], plain)
    return lines


def captions_text(data: Mapping[str, Any], *, plain: bool) -> str:
    """Words, tags and lengths of the captions of every dataset."""
    return _sections(_captions(d, plain) for d in data["datasets"])


def _captions(d: Mapping[str, Any], plain: bool) -> list[str]:
    lines = [
        f"{d['id']}: {d['captions']} captions of {d['samples']} samples, {d['different']} different"
    ]
    if d["missing"] or d["unusable"]:
        lines.append(f"  {d['missing']} samples without a caption, {d['unusable']} unusable")
    if d["tokens"]:
        how = "" if d["tokens_exact"] else " (estimated from words)"
        lines.append(f"  words   {_range(d['words'])}")
        lines.append(f"  tokens  {_range(d['tokens'])}{how}")
        lines.append(f"  {d['over_limit']} are longer than {d['token_limit']} tokens")
    lines += _histogram("tokens", d["token_histogram"], plain)
    for title, name in (("words", "top_words"), ("tags", "top_tags")):
        pairs = [(entry["text"][:30], entry["count"]) for entry in d[name]]
        if pairs:
            lines += ["", f"  most frequent {title}, captions that hold them"]
            lines += histogram(pairs, total=d["captions"], plain=plain, indent=4)
    for title, name, mark in (("repeated", "repeated", "count"), ("longest", "longest", "tokens")):
        if d[name]:
            lines += ["", f"  {title}"]
            lines += [_short(f"    {e[mark]:>5}  {e['caption']}") for e in d[name][:5]]
    return lines


def epoch_text(data: Mapping[str, Any]) -> str:
    """The sums below the table of buckets."""
    return "\n".join(data["epoch"]["shown"])


def _head(d: Mapping[str, Any]) -> str:
    kind = "" if d["kind"] == "image" else f", {d['kind']}"
    return f"{d['id']} ({d['role']}{kind}): {d['place']}"


def _range(s: Mapping[str, float]) -> str:
    return f"{number(s['min'])} to {number(s['max'])}, median {number(s['median'])}"


def _histogram(title: str, classes: Sequence[Mapping[str, Any]], plain: bool) -> list[str]:
    if not classes:
        return []
    pairs = [(c["label"], c["count"]) for c in classes]
    return ["", f"  {title}", *histogram(pairs, plain=plain, indent=4)]


def _cut(lines: list[str]) -> list[str]:
    if len(lines) <= LISTED:
        return lines
    return [*lines[:LISTED], f"    … and {len(lines) - LISTED} more (--json lists all)"]


def _short(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def _sections(parts: Iterable[list[str]]) -> str:
    return "\n\n".join("\n".join(lines) for lines in parts if lines)
