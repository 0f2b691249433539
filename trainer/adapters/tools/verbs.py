"""`python -m trainer lora VERB`: the child process behind `stune lora`.

The answer is one JSON document on stdout, `{"schema", "data", "findings"}`; progress goes to stderr
as JSON lines. Exit codes are those of the trainer (beyond.md §1.2).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trainer.errors import DataError, TrainerError
from trainer.findings import Finding, finding

Answer = tuple[Any, Sequence[Finding]]
LAYOUTS = ("diffusers", "comfyui", "kohya", "original", "lycoris")
DTYPES = ("float32", "float16", "bfloat16")


def main(argv: Sequence[str]) -> int:
    args = _arguments().parse_args(argv)
    try:
        _known_family(args.family)
        data, findings = _VERBS[args.verb](args)
    except TrainerError as error:
        _answer("error/1", None, error.findings)
        return error.exit_code
    except OSError as error:
        problem = finding(
            "LOR034",
            f"{error.filename or ''}: {error.strerror or error}",
            where=str(error.filename or ""),
            fix="check that the path exists, may be written, and that its disk is not full",
        )
        _answer("error/1", None, [problem])
        return DataError.exit_code
    _answer(f"lora-{args.verb}/1", data, findings)
    return 0


def _known_family(name: str | None) -> None:
    import difflib

    from trainer.catalog import FAMILIES

    if name is None or name in FAMILIES:
        return
    near = difflib.get_close_matches(name, FAMILIES, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    fix = f"{hint}families: {', '.join(sorted(FAMILIES))}"
    raise DataError(finding("CFG011", f"there is no family {name}", where="--family", fix=fix))


def _answer(schema: str, data: Any, findings: Sequence[Finding]) -> None:
    body = {
        "schema": schema,
        "data": data,
        "findings": [f.model_dump(mode="json") for f in findings],
    }
    sys.stdout.write(json.dumps(_strict(body), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _strict(value: Any) -> Any:
    """JSON has no infinity and no NaN."""
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer lora")
    verbs = parser.add_subparsers(dest="verb", required=True)
    made = {name: verbs.add_parser(name) for name in _VERBS}
    for name, verb in made.items():
        verb.add_argument("--family")
        if name not in ("inspect", "check", "diff"):
            verb.add_argument("--out", type=Path, required=True)
            verb.add_argument("--force", action="store_true")
    for name in ("inspect", "check", "convert", "resize", "prune", "bake"):
        made[name].add_argument("file", type=Path)
    made["convert"].add_argument("--to", choices=LAYOUTS, required=True)
    made["diff"].add_argument("files", type=Path, nargs=2)
    made["merge"].add_argument("files", nargs="+", metavar="FILE=WEIGHT")
    made["merge"].add_argument("--rank", type=int)
    made["resize"].add_argument("--rank", type=int)
    made["resize"].add_argument("--energy", type=float)
    made["resize"].add_argument("--norm", type=float)
    made["prune"].add_argument("--drop", action="append", default=[])
    made["prune"].add_argument("--keep", action="append", default=[])
    made["prune"].add_argument("--below", type=float)
    made["prune"].add_argument("--unknown", action="store_true")
    made["bake"].add_argument("--base", type=Path, required=True)
    made["bake"].add_argument("--strength", type=float, default=1.0)
    made["extract"].add_argument("base", type=Path)
    made["extract"].add_argument("tuned", type=Path)
    made["extract"].add_argument("--rank", type=int, default=32)
    made["extract"].add_argument("--energy", type=float)
    made["extract"].add_argument("--dtype", choices=DTYPES, default="float32")
    made["extract"].add_argument("--to", choices=LAYOUTS, default="diffusers")
    return parser


def _inspect(args: argparse.Namespace) -> Answer:
    from trainer.adapters.tools.inspect import inspect

    return inspect(args.file, args.family)


def _check(args: argparse.Namespace) -> Answer:
    from trainer.adapters.tools.check import check

    adapter, findings = check(args.file, args.family)
    data = {
        "file": str(args.file),
        "layout": adapter.layout,
        "families": list(adapter.families),
        "layers": len(adapter.parts),
    }
    return data, findings


def _convert(args: argparse.Namespace) -> Answer:
    from trainer.adapters.tools.convert import convert

    return convert(args.file, args.out, layout=args.to, family=args.family, force=args.force), []


def _merge(args: argparse.Namespace) -> Answer:
    from trainer.adapters.tools.merge import merge

    files = [_weighted(text) for text in args.files]
    return merge(files, args.out, rank=args.rank, family=args.family, force=args.force), []


def _weighted(text: str) -> tuple[Path, float]:
    """`FILE` or `FILE=WEIGHT`; a file whose name has an equals sign is taken as it is."""
    name, equals, weight = text.rpartition("=")
    if not equals or Path(text).exists():
        return Path(text), 1.0
    try:
        return Path(name), float(weight)
    except ValueError:
        problem = f"{weight!r} is not a weight"
        raise DataError(
            finding("LOR033", problem, where=text, fix="give a number, as FILE=0.8")
        ) from None


def _resize(args: argparse.Namespace) -> Answer:
    from trainer.adapters.tools.resize import Limit, resize

    limit = Limit(args.rank, args.energy, args.norm)
    return resize(args.file, args.out, limit, family=args.family, force=args.force), []


def _prune(args: argparse.Namespace) -> Answer:
    from trainer.adapters.tools.prune import Choice, prune

    choice = Choice(args.drop, args.keep, args.below, args.unknown)
    return prune(args.file, args.out, choice, family=args.family, force=args.force)


def _diff(args: argparse.Namespace) -> Answer:
    from trainer.adapters.tools.diff import diff

    return diff(*args.files, family=args.family), []


def _extract(args: argparse.Namespace) -> Answer:
    import torch

    from trainer.adapters.tools.extract import Wanted, extract

    dtype = getattr(torch, args.dtype)
    wanted = Wanted(rank=args.rank, energy=args.energy, dtype=dtype, layout=args.to)
    return extract(
        args.base,
        args.tuned,
        args.out,
        wanted,
        family=args.family,
        force=args.force,
        on_progress=_progress("comparing layers"),
    )


def _bake(args: argparse.Namespace) -> Answer:
    from trainer.adapters.tools.bake import bake

    return bake(
        args.file,
        args.base,
        args.out,
        strength=args.strength,
        family=args.family,
        force=args.force,
        on_progress=_progress("writing files"),
    ), []


_VERBS: dict[str, Callable[[argparse.Namespace], Answer]] = {
    "inspect": _inspect,
    "check": _check,
    "convert": _convert,
    "merge": _merge,
    "bake": _bake,
    "resize": _resize,
    "extract": _extract,
    "prune": _prune,
    "diff": _diff,
}


def _progress(stage: str) -> Callable[[int, int], None]:
    from trainer.data.survey.watch import Watch

    watch = Watch()
    return lambda done, total: watch.show(stage, done, total)
