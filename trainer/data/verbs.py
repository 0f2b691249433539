"""`python -m trainer data VERB PLACE`: the heavy side of `stune data`.

The answer is one JSON document on stdout, `{"schema", "data", "findings"}`; progress goes to
stderr as JSON lines. Exit codes are those of the trainer (beyond.md §1.2).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.data import fetch_verb
from trainer.errors import TrainerError
from trainer.findings import Finding

if TYPE_CHECKING:
    from trainer.data.survey.scan import Scanned
    from trainer.data.survey.subject import Subject
    from trainer.data.survey.watch import Watch

Answer = tuple[dict[str, Any], Sequence[Finding]]


def add_arguments(verbs: argparse._SubParsersAction) -> None:
    """The sub-verbs below `data`."""
    data = verbs.add_parser("data", help="look at datasets before training")
    actions = data.add_subparsers(dest="action", required=True)
    for name in ACTIONS:
        _common(actions.add_parser(name))
    fetch_verb.add_arguments(actions.add_parser("fetch"))
    actions.choices["captions"].add_argument("--filter", default="")
    actions.choices["captions"].add_argument("--top", type=int, default=20)
    preview = actions.choices["preview"]
    preview.add_argument("--count", type=int, default=12)
    preview.add_argument("--only", action="append", default=[])
    preview.add_argument("--seed", type=int, default=0)
    preview.add_argument("--out", type=Path)
    preview.add_argument("--thumbs", type=int, default=0, help="longest side, 0: none")
    lint = actions.choices["lint"]
    lint.add_argument("--fix", action="store_true")
    lint.add_argument("--overlay", type=Path)
    lint.add_argument("--exclude", action="append", default=[])
    lint.add_argument("--sheet", type=Path)
    lint.add_argument("--trigger")


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", type=Path, help="job file, or folder of samples")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--family")
    parser.add_argument("--resolution")
    parser.add_argument("--kind", default="image")


def run(args: argparse.Namespace) -> int:
    """Carry out one verb; the exit code."""
    from trainer.data.survey.subject import open_subject
    from trainer.data.survey.watch import Watch

    watch = Watch()
    watch.install()
    try:
        if args.action == "fetch":
            return _done(args, *fetch_verb.run(args, watch))
        subject = open_subject(
            args.place,
            family=args.family,
            resolution=args.resolution,
            kind=args.kind,
            overrides=args.set,
        )
        data, findings = ACTIONS[args.action](args, subject, watch)
    except TrainerError as error:
        _answer("error/1", None, error.findings)
        return error.exit_code
    return _done(args, data, findings)


def _done(args: argparse.Namespace, data: Any, findings: Sequence[Finding]) -> int:
    _answer(f"data-{args.action}/1", data, findings)
    return 0


def _answer(schema: str, data: Any, findings: Sequence[Finding]) -> None:
    body = {
        "schema": schema,
        "data": data,
        "findings": [f.model_dump(mode="json") for f in findings],
    }
    sys.stdout.write(json.dumps(body, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _parts(subject: Subject, watch: Watch) -> list[Scanned]:
    from trainer.data.survey.scan import scan_all

    return scan_all(subject, watch)


def _scan(args: argparse.Namespace, subject: Subject, watch: Watch) -> Answer:
    from trainer.data.survey.scan import findings_of, scan_document

    parts = _parts(subject, watch)
    return scan_document(parts), findings_of(parts)


def _stats(args: argparse.Namespace, subject: Subject, watch: Watch) -> Answer:
    from trainer.data.survey.scan import findings_of
    from trainer.data.survey.stats import stats_document

    parts = _parts(subject, watch)
    return stats_document(subject, parts), findings_of(parts)


def _buckets(args: argparse.Namespace, subject: Subject, watch: Watch) -> Answer:
    from trainer.data.survey.buckets import buckets_document

    return buckets_document(subject, _parts(subject, watch))


def _captions(args: argparse.Namespace, subject: Subject, watch: Watch) -> Answer:
    from trainer.data.survey.captions import captions_document
    from trainer.data.survey.scan import findings_of

    parts = _parts(subject, watch)
    document = captions_document(subject, parts, pattern=args.filter, top=args.top)
    return document, findings_of(parts)


def _preview(args: argparse.Namespace, subject: Subject, watch: Watch) -> Answer:
    from trainer.data.survey.preview import preview_document

    return preview_document(
        subject,
        _parts(subject, watch),
        watch,
        count=args.count,
        only=args.only,
        seed=args.seed,
        out=args.out,
        thumbs=args.thumbs,
    ), ()


def _lint(args: argparse.Namespace, subject: Subject, watch: Watch) -> Answer:
    from trainer.data.lint.run import lint

    return lint(
        subject,
        _parts(subject, watch),
        watch,
        trigger=args.trigger,
        fix=args.fix,
        overlay=args.overlay,
        exclude=args.exclude,
        sheet=args.sheet,
    )


ACTIONS: dict[str, Callable[[argparse.Namespace, Any, Any], Answer]] = {
    "scan": _scan,
    "stats": _stats,
    "buckets": _buckets,
    "captions": _captions,
    "preview": _preview,
    "lint": _lint,
}
