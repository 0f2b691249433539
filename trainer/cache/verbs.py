"""`python -m trainer cache VERB`: the child process behind `stune cache`.

stdout carries JSON lines: `{"done", "total"}` while it works, and last one document `{"schema",
"data", "findings"}`. Only `why --job` loads torch.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trainer.cache.export import export
from trainer.cache.gc import collect
from trainer.cache.importing import take_in
from trainer.cache.room import GB
from trainer.cache.stat import stat
from trainer.cache.tables import DATABASE
from trainer.cache.verify import verify
from trainer.cache.why import why
from trainer.errors import DataError, TrainerError
from trainer.findings import Finding, at_or_above, finding
from trainer.runs.homes import cache_home

PROGRESS_S = 0.5

Answer = tuple[Any, list[Finding]]


def main(argv: Sequence[str]) -> int:
    """Run one verb; the exit code is 1 when there is a finding of level error."""
    args = _arguments().parse_args(argv)
    root = args.root or cache_home() / "objects"
    data, findings = None, []
    try:
        if not (root / DATABASE).exists() and args.verb != "import":
            raise DataError(_nothing(root))
        data, findings = _VERBS[args.verb](root, args)
    except TrainerError as error:
        findings = list(error.findings)
    except OSError as error:
        findings = [_refused(error, root)]
    except sqlite3.DatabaseError as error:
        findings = [_damaged_index(error, root)]
    _line(
        {
            "schema": f"cache-{args.verb}/1",
            "data": data,
            "findings": [f.model_dump(mode="json") for f in findings],
        }
    )
    return 1 if at_or_above(findings, "error") else 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer cache")
    parser.add_argument("--root", type=Path, help="folder of the cache; default: the cache home")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("stat")
    found = verbs.add_parser("why")
    found.add_argument("path", type=Path)
    found.add_argument("--job", type=Path)
    checked = verbs.add_parser("verify")
    checked.add_argument("--repair", action="store_true")
    cleared = verbs.add_parser("gc")
    cleared.add_argument("--quota", type=float, metavar="GB")
    cleared.add_argument("--unused", type=float, metavar="DAYS")
    cleared.add_argument("--dry-run", action="store_true")
    sent = verbs.add_parser("export")
    sent.add_argument("file", type=Path)
    sent.add_argument("--run", type=Path)
    sent.add_argument("--dataset")
    verbs.add_parser("import").add_argument("file", type=Path)
    return parser


def _stat(root: Path, args: argparse.Namespace) -> Answer:
    return stat(root), []


def _why(root: Path, args: argparse.Namespace) -> Answer:
    return why(root, args.path, _wanted(root, args) if args.job else ()), []


def _wanted(root: Path, args: argparse.Namespace):
    from trainer.config.resolve import resolve

    resolved = resolve(args.job)
    if resolved.config is None:
        raise TrainerError(*at_or_above(resolved.findings, "error"))
    import torch

    from trainer.cache.wanted import wanted
    from trainer.loop.build import make_family, weights_dtype

    config = resolved.config
    family = make_family(config, torch.device("cpu"), weights_dtype(config))
    return wanted(config, family, root, args.path)


def _verify(root: Path, args: argparse.Namespace) -> Answer:
    done = verify(root, repair=args.repair, on_progress=_progress())
    damaged = [asdict(damage) | {"key": damage.key.hex() or None} for damage in done.damaged]
    data = {"entries": done.entries, "num_bytes": done.num_bytes, "shards": done.shards}
    return data | {"damaged": damaged, "repaired": done.repaired}, done.findings


def _gc(root: Path, args: argparse.Namespace) -> Answer:
    for name in ("quota", "unused"):
        value = getattr(args, name)
        if value is not None and not 0 <= value < float("inf"):
            problem = f"--{name} {value} is out of bounds"
            raise DataError(finding("DAT111", problem, fix="give 0 or more"))
    quota = None if args.quota is None else int(args.quota * GB)
    done = collect(root, quota=quota, unused_days=args.unused, dry_run=args.dry_run)
    data = asdict(done) | {"dry_run": args.dry_run}
    del data["findings"]
    return data, done.findings


def _export(root: Path, args: argparse.Namespace) -> Answer:
    sent = export(root, args.file, run=args.run, dataset=args.dataset, on_progress=_progress())
    data = {"file": str(sent.file), "entries": sent.entries, "num_bytes": sent.num_bytes}
    return data, sent.findings


def _import(root: Path, args: argparse.Namespace) -> Answer:
    taken = take_in(root, args.file, on_progress=_progress())
    data = asdict(taken)
    del data["findings"]
    return data, taken.findings


_VERBS: dict[str, Callable[[Path, argparse.Namespace], Answer]] = {
    "stat": _stat,
    "why": _why,
    "verify": _verify,
    "gc": _gc,
    "export": _export,
    "import": _import,
}


def _progress() -> Callable[[int, int], None]:
    """Reports at most twice a second."""
    last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_S:
            last = time.monotonic()
            _line({"done": done, "total": total})

    return report


def _line(record: Any) -> None:
    sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _nothing(root: Path) -> Finding:
    return finding(
        "DAT110",
        f"there is no cache in {root}",
        where=str(root),
        why="it is made by the first run that encodes data",
        fix="name another folder with --root, where cache.root of a job is set",
    )


def _refused(error: OSError, root: Path) -> Finding:
    return finding(
        "DAT103",
        f"{error.filename or root}: {error.strerror or error}",
        where=str(error.filename or root),
        fix="check that the path exists, may be written, and that its disk is not full",
    )


def _damaged_index(error: sqlite3.DatabaseError, root: Path) -> Finding:
    return finding(
        "DAT103",
        f"the index of the cache cannot be used: {error}",
        where=str(root / DATABASE),
        fix="wait for other programs that use it; a damaged cache.db may be removed, everything is "
        "then encoded again",
    )
