"""Process entry of the trainer: `python -m trainer train CONFIG --run-dir DIR`.

Maps every outcome to an exit code (beyond.md §1.2) and leaves an exit record in the run
directory. Heavy imports happen inside the verb, so `--help` and configuration errors are quick.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path

from trainer.errors import ConfigError, TrainerError
from trainer.findings import Finding, at_or_above
from trainer.runs.exitrecord import ExitRecord, write_exit
from trainer.runs.files import write_json
from trainer.runs.homes import data_home
from trainer.runs.layout import RunDir
from trainer.runs.lock import acquire
from trainer.unexpected import unexpected


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["cache"]:
        from trainer.cache.verbs import main as cache

        return cache(argv[1:])
    if argv[:1] == ["lora"]:
        from trainer.adapters.tools.verbs import main as lora

        return lora(argv[1:])
    args = _arguments().parse_args(argv)
    if args.verb == "data":
        from trainer.data.verbs import run as look

        return look(args)
    if args.verb == "rehearse":
        from trainer.rehearse.verb import run as rehearse

        return rehearse(args)
    try:
        config, effective, run = _resolve(args)
    except TrainerError as error:
        _tell(*error.findings)
        return error.exit_code
    return _train(config, effective, run, args.attempt)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer", description="Train one job.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    train = verbs.add_parser("train", help="train CONFIG, or continue it, in its run directory")
    train.add_argument("config", type=Path, help="TOML, YAML or JSON job file")
    train.add_argument("--run-dir", type=Path, help="default: job.output_dir, else a new one")
    train.add_argument("--attempt", type=int, default=1, help=argparse.SUPPRESS)
    train.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override one key"
    )
    from trainer.data.verbs import add_arguments as add_data

    add_data(verbs)
    from trainer.rehearse.verb import add_arguments as add_rehearse

    add_rehearse(verbs)
    verbs.add_parser("cache", add_help=False, help="look into the cache and clean it")
    verbs.add_parser("lora", add_help=False, help="inspect and change adapter files")
    return parser


def _resolve(args: argparse.Namespace):
    """Configuration, its effective form, and the run directory (created)."""
    from trainer.config.resolve import resolve

    resolved = resolve(args.config, overrides=args.set)
    errors = at_or_above(resolved.findings, "error")
    if resolved.config is None or errors:
        raise _invalid(errors)
    _tell(*resolved.findings)
    config = resolved.config
    name = config.job.name or args.config.stem
    fallback = data_home() / "runs" / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    run = RunDir(Path(args.run_dir or config.job.output_dir or fallback).expanduser().resolve())
    run.create()
    effective = resolved.effective()
    if args.config.resolve() != run.effective:
        write_json(run.effective, effective)
    return config, effective, run


def _invalid(errors: list[Finding]) -> TrainerError:
    """A data finding (a missing folder) is a data error, everything else a configuration error."""
    from trainer.errors import DataError

    kind = DataError if all(f.code.startswith("DAT") for f in errors) else ConfigError
    return kind(*errors)


def _train(config, effective: dict, run: RunDir, attempt: int) -> int:
    try:
        lock = acquire(run.lock)
    except TrainerError as error:
        _tell(*error.findings)
        return error.exit_code
    run.exit.unlink(missing_ok=True)
    from trainer.loop.session import Session

    name = config.job.name or run.path.name
    session = Session(run, name=name, attempt=attempt)
    session.control.install_signals()
    session.beat(force=True)
    try:
        code = _outcome(config, session)
    finally:
        session.close()
        del lock
    return code


def _outcome(config, session) -> int:
    """Train and translate the way it ended into an exit record, an event and a code."""
    problem: Finding | None = None
    try:
        from trainer.loop.train import train

        train(session, config)
        code, status, reason = 0, "succeeded", "done"
    except TrainerError as error:
        problem = error.finding
        code = error.exit_code
        status, reason = _status(error, session)
        for found in error.findings:
            session.report(found)
    except BaseException as error:
        traceback.print_exc()
        code, status = 70, "failed"
        problem, reason = unexpected(error)
        session.report(problem)
    if problem is not None:
        _tell(problem)
    session.events.emit("run.end", status=status, code=code, reason=reason, step=session.step)
    record = ExitRecord(
        code=code,
        status=status,
        reason=reason,
        step=session.step,
        attempt=session.attempt,
        finding=problem.model_dump() if problem else None,
    )
    write_exit(session.run.exit, record)
    return code


REASONS = {
    4: "identity_mismatch",
    6: "not_resumable",
    64: "config_invalid",
    65: "dataset_error",
    76: "oom_gpu",
    77: "nan_loss",
    78: "preflight_refused",
}


def _status(error: TrainerError, session) -> tuple[str, str]:
    if error.exit_code == 75:
        intent = session.control.stop_intent or "preempt"
        return ("preempted" if intent == "preempt" else "stopped"), intent
    if error.finding.code in ("RUN006", "DAT102"):
        return "failed", "disk_full"
    return "failed", REASONS.get(error.exit_code, "unknown")


def _tell(*findings: Finding) -> None:
    for item in findings:
        print(item, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
