"""`python -m trainer data fetch TABLE --to FOLDER`: addresses of a table become tar shards."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.findings import Finding

if TYPE_CHECKING:
    from trainer.data.survey.watch import Watch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", type=Path)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--url-column")
    parser.add_argument("--caption-column", action="append", default=[])
    parser.add_argument("--no-captions", action="store_true")
    parser.add_argument("--kind", default="image", choices=("image", "video", "audio"))
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--timeout", type=float, default=30.0)
    parser.add_argument("--max-mb", type=float, default=64.0)
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--retry-failed", action="store_true")


def run(args: argparse.Namespace, watch: Watch) -> tuple[dict[str, Any], Sequence[Finding]]:
    """Fetch what is not there yet; a stop keeps every whole shard."""
    from trainer.data.download import Limits
    from trainer.data.fetch import fetch
    from trainer.data.sources.columns import CaptionColumns

    captions = None if args.no_captions else CaptionColumns(tuple(args.caption_column), None)
    report = fetch(
        args.table,
        args.to,
        url_column=args.url_column,
        captions=captions,
        kind=args.kind,
        concurrency=args.concurrency,
        limits=Limits(timeout_s=args.timeout, max_bytes=int(args.max_mb * 1e6), tries=args.tries),
        retry_failed=args.retry_failed,
        on_progress=lambda done, failed: watch.show("fetching", done),
        should_stop=lambda: watch.stop,
    )
    document = asdict(report) | {"failures": report.failures and str(report.failures)}
    document.pop("findings")
    return document | {"to": str(args.to)}, report.findings
