"""The only writer to stdout: the answer, in the format that was asked for.

Machine formats carry one versioned document `{"schema", "data", "findings"}`; streams are JSON
lines. A pipe never gets colour, progress or cut-off cells. Every verb hands over records and
columns; no verb formats text itself.
"""

from __future__ import annotations

import difflib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sttui.cli.failure import ReaderGone, usage
from sttui.cli.invocation import current
from sttui.format.columns import Column

if TYPE_CHECKING:
    from trainer.findings import Finding

_STYLES = {"green": "32", "red": "31", "yellow": "33", "blue": "34", "dim": "2", "bold": "1"}


def is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def for_people() -> bool:
    """Whether the answer is read by a person rather than by a program."""
    return current.format in ("table", "wide") and not current.fields


def table(
    schema: str,
    records: Sequence[Any],
    columns: Sequence[Column],
    *,
    id: str = "id",
    findings: Sequence[Finding] = (),
    extra: dict[str, Any] | None = None,
) -> None:
    """A list of records; `extra` adds members to the document beside the data."""
    match current.format:
        case "json" | "yaml":
            data = [_picked(record, columns) for record in records]
            _document(schema, data, findings, extra)
        case "jsonl":
            for record in records:
                _line(_json(_picked(record, columns)))
        case "csv":
            _csv(records, _chosen(columns, wide=True))
        case "id":
            for record in records:
                _line(str(_plain(record).get(id, "")))
        case _:
            _aligned(records, _chosen(columns, wide=current.format == "wide"))


def record(
    schema: str,
    record: Any,
    columns: Sequence[Column],
    *,
    id: str = "id",
    findings: Sequence[Finding] = (),
) -> None:
    """One record: a block of `name  value` lines, or its document."""
    match current.format:
        case "json" | "yaml":
            _document(schema, _picked(record, columns), findings)
        case "table" | "wide":
            chosen = _chosen(columns, wide=True)
            width = max((len(c.name) for c in chosen), default=0)
            for item in chosen:
                text = _styled(item.shown(record), item, record)
                _line(f"{item.name.ljust(width)}  {text}".rstrip())
        case _:
            table(schema, [record], columns, id=id)


def text(schema: str, body: str, data: Any, *, findings: Sequence[Finding] = ()) -> None:
    """A text such as a preset or a log; machine formats carry `data` instead."""
    if current.machine:
        document(schema, data, findings=findings)
    else:
        _write(body if body.endswith("\n") or not body else f"{body}\n")


def document(schema: str, data: Any, *, findings: Sequence[Finding] = ()) -> None:
    """A document whose only form is structured; human formats get it as JSON, too."""
    if current.format == "jsonl":
        _line(_json(_plain(data)))
    else:
        _document(schema, _plain(data), findings)


def plain_json(data: Any) -> None:
    """A document that has a schema of its own and goes out unwrapped (JSON Schema)."""
    _line(json.dumps(data, indent=2, ensure_ascii=False))


def stream(record: Any, show: Callable[[Any], str]) -> None:
    """One record of a stream: a JSON line in machine formats, its text elsewhere."""
    plain = _plain(record)
    if current.machine:
        if current.fields:
            plain = {name: plain.get(name) for name in current.fields}
        _line(_json(plain))
    elif current.format == "id":
        _line(str(plain.get("seq", plain.get("id", ""))))
    else:
        _line(show(record))


def repeated(show: Callable[[], None], every_s: float | None) -> None:
    """Show once, or again and again until interrupted; a terminal is redrawn in place."""
    if every_s is None:
        show()
        return
    while True:
        if is_terminal() and not current.machine:
            _write("\x1b[H\x1b[2J")
        show()
        time.sleep(every_s)


def raw(data: str) -> None:
    """Text as it is (log output), without an added newline."""
    _write(data)


def failure(findings: Sequence[Finding]) -> None:
    """With a machine format, errors are findings on stdout as well."""
    if current.machine and findings:
        _document("error/1", None, findings)


def _document(
    schema: str, data: Any, findings: Sequence[Finding], extra: dict[str, Any] | None = None
) -> None:
    body = {"schema": schema, "data": data, **(extra or {})}
    body["findings"] = [f.model_dump(mode="json") for f in findings]
    if current.format == "yaml":
        import yaml

        _write(yaml.safe_dump(body, sort_keys=False, allow_unicode=True))
    else:
        _line(json.dumps(body, indent=2 if is_terminal() else None, ensure_ascii=False))


def _plain(record: Any) -> Any:
    dump = getattr(record, "model_dump", None)
    return dump(mode="json") if dump else record


def _picked(record: Any, columns: Sequence[Column]) -> Any:
    """The whole record, or only `--fields` of it (columns or plain members)."""
    plain = _plain(record)
    if not current.fields or not isinstance(plain, dict):
        return plain
    by_name = {c.name: c for c in columns}
    out = {}
    for name in current.fields:
        if name in plain:
            out[name] = plain[name]
        elif name in by_name:
            out[name] = by_name[name].value(record)
        else:
            raise _unknown_field(name, [*plain, *by_name])
    return out


def _chosen(columns: Sequence[Column], *, wide: bool) -> list[Column]:
    if not current.fields:
        return [c for c in columns if wide or not c.wide]
    by_name = {c.name: c for c in columns}
    for name in current.fields:
        if name not in by_name:
            raise _unknown_field(name, list(by_name))
    return [by_name[name] for name in current.fields]


def _unknown_field(name: str, known: Sequence[str]) -> Exception:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return usage(
        f"there is no field {name!r}", fix=f"{hint}fields: {', '.join(sorted(set(known)))}"
    )


def _csv(records: Iterable[Any], columns: Sequence[Column]) -> None:
    import csv
    import io

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if current.headers:
        writer.writerow([c.name for c in columns])
    for item in records:
        writer.writerow([_cell(c.value(item)) for c in columns])
    _write(buffer.getvalue())


def _cell(value: Any) -> Any:
    return _json(value) if isinstance(value, list | dict | tuple) else value


def _aligned(records: Sequence[Any], columns: Sequence[Column]) -> None:
    """Columns two spaces apart; cut at the screen's edge only on a terminal."""
    from rich.cells import cell_len, set_cell_size

    cells = [[" ".join(c.shown(item).split()) for c in columns] for item in records]
    head = [[c.name.upper() for c in columns]] if current.headers else []
    widths = [
        max((cell_len(row[i]) for row in head + cells), default=0) for i in range(len(columns))
    ]
    limit = _screen_width()
    for number, row in enumerate(head + cells):
        item = records[number - len(head)] if number >= len(head) else None
        parts, used = [], 0
        for i, column in enumerate(columns):
            space = min(widths[i], max(0, limit - used))
            last = i == len(columns) - 1
            padded = row[i] if last and cell_len(row[i]) <= space else set_cell_size(row[i], space)
            if column.right and cell_len(row[i]) < space:
                padded = " " * (space - cell_len(row[i])) + row[i]
            used += space + 2
            parts.append(_styled(padded, column, item) if item is not None else padded)
        _line("  ".join(parts).rstrip())


def _screen_width() -> int:
    if not is_terminal():
        return 1 << 30
    from shutil import get_terminal_size

    return get_terminal_size().columns


def _styled(shown: str, column: Column, item: Any) -> str:
    if column.style is None or not is_terminal() or os.environ.get("NO_COLOR"):
        return shown
    style = column.style(item)
    return f"\x1b[{_STYLES[style]}m{shown}\x1b[0m" if style else shown


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _line(line: str) -> None:
    _write(f"{line}\n")


def _write(data: str) -> None:
    try:
        sys.stdout.write(data)
        sys.stdout.flush()
    except BrokenPipeError:
        raise ReaderGone from None
