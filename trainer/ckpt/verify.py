"""Which checkpoints of a run are whole, and what becomes of those that are not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainer.ckpt.save import digest, document_digest
from trainer.ckpt.state import MANIFEST, SCHEMA
from trainer.runs.layout import QUARANTINE_PREFIX, STAGING_PREFIX, step_of


def checkpoints(root: Path) -> list[Path]:
    """Complete-looking checkpoint folders, newest first."""
    if not root.exists():
        return []
    found = [(step_of(p.name), p) for p in root.iterdir() if p.is_dir()]
    return [p for step, p in sorted(((s, p) for s, p in found if s is not None), reverse=True)]


def damage(folder: Path) -> str | None:
    """Why the checkpoint cannot be trusted, or None when every byte is as written."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        return "the manifest is missing"
    except ValueError:
        return "the manifest is not readable"
    if document_digest({k: v for k, v in manifest.items() if k != "checksum"}) != manifest.get(
        "checksum"
    ):
        return "the manifest was altered"
    if manifest.get("schema") != SCHEMA:
        return f"schema {manifest.get('schema')} is not {SCHEMA}"
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.exists():
            return f"{name} is missing"
        if path.stat().st_size != expected["bytes"]:
            return f"{name} has {path.stat().st_size} bytes instead of {expected['bytes']}"
        if digest(path) != expected["blake2b"]:
            return f"{name} was altered"
    return None


def quarantine(folder: Path) -> Path:
    """Move a damaged checkpoint aside; it is deleted only by explicit command."""
    target = folder.with_name(f"{QUARANTINE_PREFIX}{folder.name}")
    number = 1
    while target.exists():
        number += 1
        target = folder.with_name(f"{QUARANTINE_PREFIX}{folder.name}-{number}")
    return folder.rename(target)


def sweep_staging(root: Path) -> None:
    """Remove what an interrupted save left behind."""
    if root.exists():
        for path in root.glob(f"{STAGING_PREFIX}*"):
            shutil.rmtree(path, ignore_errors=True)


def newest_whole(root: Path) -> Iterator[tuple[Path, str | None]]:
    """Newest first: (folder, damage) until one is whole; damaged ones come with their reason."""
    for folder in checkpoints(root):
        reason = damage(folder)
        yield folder, reason
        if reason is None:
            return
