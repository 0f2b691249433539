"""`python -m trainer rehearse CONFIG`: the whole way of a run in a minute (beyond.md B03).

The answer is one JSON document on stdout, `{"schema", "data", "findings"}`, which is also kept as
a file below the data home; progress goes to stderr as JSON lines. Exit code 1 when it failed.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.errors import Interrupted, TrainerError
from trainer.findings import Finding, at_or_above, finding
from trainer.runs.files import write_json
from trainer.runs.homes import data_home
from trainer.unexpected import unexpected

if TYPE_CHECKING:
    from trainer.config.resolve import Resolved
    from trainer.rehearse.report import Report

SCHEMA = "rehearsal/1"
SAMPLES = 2


def add_arguments(verbs: Any) -> None:
    """The verb below `python -m trainer`."""
    parser = verbs.add_parser("rehearse", help="try everything a run does on a few samples")
    parser.add_argument("config", type=Path, help="TOML, YAML or JSON job file; - reads stdin")
    parser.add_argument("--format", default="toml", help="of the text on stdin")
    parser.add_argument("--name", default="<stdin>", help="of the text on stdin")
    parser.add_argument("--base-dir", type=Path, help="of relative paths in the text on stdin")
    parser.add_argument("--run-dir", type=Path, help="where the run is to write")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="of each bucket (default 2)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--unset", action="append", default=[], metavar="KEY")


def run(args: argparse.Namespace) -> int:
    """Rehearse, print the document, keep it as a file; the exit code."""
    from trainer.rehearse.report import Report

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    report = Report(lambda name: _show({"kind": "phase", "phase": name, "state": "begin"}))
    try:
        with redirect_stdout(sys.stderr):  # stdout is the answer and nothing else
            _rehearse(args, report)
    except Interrupted as error:
        _print({"schema": SCHEMA, "data": None, "findings": _plain(error.findings)})
        return error.exit_code
    document = {"schema": SCHEMA, "data": report.document(), "findings": _plain(report.findings)}
    _keep(document, args)
    _print(document)
    return 0 if report.passed else 1


def _rehearse(args: argparse.Namespace, report: Report) -> None:
    """All phases; whatever ends one becomes its findings."""
    from trainer.rehearse.report import Failed

    report.begin("lint")
    resolved = _resolve(args)
    errors = at_or_above(resolved.findings, "error")
    if resolved.config is None or errors:
        report.fail(*(errors or resolved.findings))
        return
    report.add(*resolved.findings)
    config = resolved.config
    report.facts |= {"job": config.job.name, "family": config.model.family, "samples": args.samples}
    run = args.run_dir or config.job.output_dir or data_home() / "runs" / "rehearsal"
    try:
        from trainer.rehearse.phases import rehearse
        from trainer.rehearse.reads import recording, remark, unread

        place = Path(run).expanduser().resolve()
        with recording() as reads:
            rehearse(config, place, args.samples, report, show=_show, reads=reads)
        if idle := unread(resolved.origins, reads):
            report.add(remark(idle))
    except Failed:
        return
    except Interrupted:
        raise
    except TrainerError as error:
        report.fail(*error.findings)
    except Exception as error:
        traceback.print_exc()
        report.fail(unexpected(error)[0])


def _resolve(args: argparse.Namespace) -> Resolved:
    from trainer.config.resolve import resolve

    if str(args.config) != "-":
        return resolve(args.config, overrides=args.set, unset=args.unset)
    return resolve(
        sys.stdin.read(),
        format=args.format,
        name=args.name,
        base_dir=args.base_dir,
        overrides=args.set,
        unset=args.unset,
    )


def _interrupted(number: int, frame: object) -> None:
    """At once: what was begun is removed on the way out."""
    signal.signal(number, signal.SIG_IGN)
    raise Interrupted(
        finding("RUN009", "the rehearsal was interrupted; it left nothing behind", level="info")
    )


def _keep(document: dict[str, Any], args: argparse.Namespace) -> None:
    """The report as a file; that it cannot be written is told, the answer stands."""
    name = (
        document["data"].get("job")
        or Path(args.name if str(args.config) == "-" else args.config).stem
    )
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip("-.") or "job"
    path = data_home() / "rehearsals" / f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    document["data"]["report"] = str(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, document)
    except OSError as error:
        document["data"]["report"] = None
        problem = finding(
            "RUN033",
            f"the report of the rehearsal cannot be kept: {error}",
            where=str(path),
            fix="set STUNE_HOME to a folder that can be written",
            level="warn",
        )
        document["findings"] += _plain([problem])


def _plain(findings: Any) -> list[dict[str, Any]]:
    return [f.model_dump(mode="json") for f in findings if isinstance(f, Finding)]


def _show(event: dict[str, Any]) -> None:
    sys.stderr.write(json.dumps(event) + "\n")
    sys.stderr.flush()


def _print(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()
