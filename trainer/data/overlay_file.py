"""Reading and writing overlays: TOML that people edit, or JSON.

Writing keeps comments and order of a TOML file that is there already.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from trainer.data.overlay import Overlay
from trainer.errors import DataError
from trainer.findings import finding


def load_overlay(path: Path | str) -> Overlay:
    """Read a TOML or JSON overlay; DataError says what is wrong with it."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    try:
        text = data.decode("utf-8-sig")
        body = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except ValueError as error:  # of tomllib, json and decode alike
        raise _unreadable(path, str(error)) from error
    return parse_overlay(body, path)


def parse_overlay(body: Any, path: Path) -> Overlay:
    """Check the two tables; anything else would be silently without effect, so it is refused."""
    if not isinstance(body, dict):
        raise _unreadable(path, "it is not a table")
    if unknown := sorted(body.keys() - {"exclude", "captions"}):
        raise _unreadable(path, f"it has no use for {unknown[0]!r}, only exclude and captions")
    exclude, captions = body.get("exclude", {}), body.get("captions", {})
    if not isinstance(exclude, dict) or not isinstance(captions, dict):
        raise _unreadable(path, "exclude and captions are tables: name = text")
    if wrong := [n for n, reason in exclude.items() if not isinstance(reason, str)]:
        raise _unreadable(path, f"the reason of {wrong[0]!r} is not a text")
    return Overlay(exclude, {n: _variants(path, n, v) for n, v in captions.items()}, str(path))


def _variants(path: Path, name: str, value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(t, str) and t.strip() for t in texts):
        raise _unreadable(path, f"the caption of {name!r} is neither a text nor a list of texts")
    if not texts:
        raise _unreadable(path, f"{name!r} has an empty list of captions; leave it out instead")
    return tuple(text.strip() for text in texts)


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(
        finding(
            "DAT098",
            f"the overlay {path} cannot be read: {why}",
            where=str(path),
            fix="correct the file, or remove the key overlay from the dataset",
        )
    )


HEAD = """\
Made by `stune data lint --fix`; edit it freely, a later --fix keeps what stands here.
Use it with: data.datasets[].overlay = "{name}"\
"""


def write_overlay(path: Path, overlay: Overlay) -> None:
    """Write, or extend, the file in place of the old one; comments and hand edits are kept."""
    import tomlkit

    from trainer.runs.files import write_atomic

    if path.suffix.lower() == ".json":
        captions = {name: _plain(texts) for name, texts in overlay.captions.items()}
        body = {"exclude": dict(overlay.exclude), "captions": captions}
        write_atomic(path, (json.dumps(body, indent=2, ensure_ascii=False) + "\n").encode())
        return
    if path.exists():
        document = tomlkit.parse(path.read_text(encoding="utf-8-sig"))
    else:
        document = tomlkit.document()
        for line in HEAD.format(name=path.name).splitlines():
            document.add(tomlkit.comment(line))
    tables = {
        "exclude": dict(overlay.exclude),
        "captions": {name: _plain(texts) for name, texts in overlay.captions.items()},
    }
    for name, entries in tables.items():
        table = document.setdefault(name, tomlkit.table())
        for key in [k for k in table if k not in entries]:
            del table[key]
        for key, value in entries.items():
            if key not in table or table[key] != value:
                table[key] = value
    write_atomic(path, tomlkit.dumps(document).encode())


def _plain(texts: tuple[str, ...]) -> str | list[str]:
    return texts[0] if len(texts) == 1 else list(texts)
