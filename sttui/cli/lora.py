"""Verbs about adapter files: inspect, check, convert, merge, bake, resize, extract, prune, diff.

The work is done by a child process of the trainer; this program loads no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from sttui.cli import narrate, output
from sttui.cli.config import FAIL_ON
from sttui.cli.failure import CliError, usage
from sttui.cli.lora_tables import CHECK, DIFF, SUMMARY, WRITTEN, tell_inspected
from sttui.cli.verb import group, verb
from sttui.cli.worker import Document, ask
from sttui.format.columns import Column, column
from trainer.findings import LEVELS, at_or_above

GROUP = group("Inspect adapter files, convert and change them.")
FILE = typer.Argument(..., metavar="FILE", help="Adapter file (.safetensors).")
FAMILY = typer.Option(
    None, "--family", metavar="KEY", help="Family of the model; default: guessed from the file."
)
OUT = typer.Option(..., "--out", metavar="FILE", help="File to write.")
FORCE = typer.Option(False, "--force", help="Overwrite what is there.")
TO = typer.Option(
    ..., "--to", metavar="LAYOUT", help="diffusers, comfyui, kohya, original or lycoris."
)
LAYOUTS = ("diffusers", "comfyui", "kohya", "original", "lycoris")


@verb(GROUP)
def inspect(
    file: Path = FILE,
    family: str | None = FAMILY,
    layers: bool = typer.Option(False, "--layers", help="List every layer."),
    fail_on: str = FAIL_ON,
) -> None:
    """Show what an adapter file is and what it changes.

    Family, layout, algorithm, ranks, alphas, targets, size of the change by block, trigger words,
    header and hashes. Faults are told as stune lora check tells them.

    Example: stune lora inspect style.safetensors --layers
    """
    found = _ask("inspect", str(file), *_given("--family", family))
    if layers:
        rows = found.data["layers"]
        columns = (
            column("layer"),
            column("algorithm"),
            column("rank", right=True),
            column("alpha", right=True),
            column("norm", right=True),
            column("component", wide=True),
        )
        output.table("lora-layers/1", rows, columns, id="layer", findings=found.findings)
    else:
        output.record(found.schema, found.data, SUMMARY, id="sha256", findings=found.findings)
        if output.for_people():
            tell_inspected(found.data)
    _end(found, fail_on)


@verb(GROUP)
def check(file: Path = FILE, family: str | None = FAMILY, fail_on: str = FAIL_ON) -> None:
    """Look for faults in an adapter file.

    NaN, zero up-projections, missing halves, unknown names, shapes that do not fit, wrong alphas.
    Exit code 1 when there is a finding at or above --fail-on.

    Example: stune lora check style.safetensors --fail-on warn
    """
    found = _ask("check", str(file), *_given("--family", family))
    output.record(found.schema, found.data, CHECK, id="file", findings=found.findings)
    _end(found, fail_on)


@verb(GROUP)
def convert(
    file: Path = FILE,
    to: str = TO,
    out: Path = OUT,
    family: str | None = FAMILY,
    force: bool = FORCE,
) -> None:
    """Write an adapter in another layout, without loss.

    What the layout cannot express is refused, never left out.

    Example: stune lora convert style.safetensors --to kohya --out style-kohya.safetensors
    """
    _layout(to)
    _write("convert", [str(file), "--to", to], out, family, force)


@verb(GROUP)
def merge(
    files: list[str] = typer.Argument(..., metavar="FILE[=WEIGHT]...", help="Weight: default 1."),
    out: Path = OUT,
    rank: int | None = typer.Option(
        None, "--rank", metavar="N", help="Cut the sum down; default: exact, ranks add up."
    ),
    family: str | None = FAMILY,
    force: bool = FORCE,
) -> None:
    """Add adapters up in one file.

    Example: stune lora merge style.safetensors=0.8 face.safetensors=0.5 --out both.safetensors
    """
    _write("merge", [*files, *_given("--rank", rank)], out, family, force)


@verb(GROUP)
def bake(
    file: Path = FILE,
    base: Path = typer.Option(
        ..., "--base", metavar="PATH", help="Diffusers folder, or one .safetensors file."
    ),
    out: Path = typer.Option(..., "--out", metavar="PATH", help="Folder or file to write."),
    strength: float = typer.Option(1.0, "--strength", metavar="X", help="Share of the change."),
    family: str | None = FAMILY,
    force: bool = FORCE,
) -> None:
    """Add an adapter into base weights for good.

    One weight at a time is in memory. The result needs no adapter.

    Example: stune lora bake style.safetensors --base ./sdxl --out ./sdxl-style
    """
    more = [str(file), "--base", str(base), "--strength", str(strength)]
    _write("bake", more, out, family, force)


@verb(GROUP)
def resize(
    file: Path = FILE,
    out: Path = OUT,
    rank: int | None = typer.Option(None, "--rank", metavar="N", help="At most this rank."),
    energy: float | None = typer.Option(
        None, "--energy", metavar="SHARE", help="Keep this share of the squared singular values."
    ),
    norm: float | None = typer.Option(
        None, "--norm", metavar="X", help="Drop directions whose singular value is below it."
    ),
    family: str | None = FAMILY,
    force: bool = FORCE,
) -> None:
    """Give an adapter a lower rank with as little loss as can be.

    Example: stune lora resize style.safetensors --energy 0.99 --out small.safetensors
    """
    if rank is None and energy is None and norm is None:
        raise usage("no new size was given", fix="give --rank, --energy or --norm")
    sizes = [*_given("--rank", rank), *_given("--energy", energy), *_given("--norm", norm)]
    _write("resize", [str(file), *sizes], out, family, force)


@verb(GROUP)
def extract(
    base: Path = typer.Argument(..., metavar="BASE", help="Diffusers folder, or one file."),
    tuned: Path = typer.Argument(..., metavar="TUNED", help="The same model, trained further."),
    out: Path = OUT,
    rank: int = typer.Option(32, "--rank", metavar="N", help="At most this rank."),
    energy: float | None = typer.Option(
        None, "--energy", metavar="SHARE", help="Per layer, this share is enough."
    ),
    dtype: str = typer.Option("float32", "--dtype", metavar="NAME", help="Or float16, bfloat16."),
    to: str = typer.Option("diffusers", "--to", metavar="LAYOUT", help="As in stune lora convert."),
    family: str | None = FAMILY,
    force: bool = FORCE,
) -> None:
    """Make a LoRA of the difference between two checkpoints.

    Layer by layer: only a few weights are in memory at a time.

    Example: stune lora extract ./sdxl ./sdxl-tuned --rank 64 --out diff.safetensors
    """
    _layout(to)
    if dtype not in ("float32", "float16", "bfloat16"):
        raise usage(f"--dtype {dtype!r} is not known", fix="float32, float16 or bfloat16")
    more = ["--rank", str(rank), "--dtype", dtype, "--to", to, *_given("--energy", energy)]
    _write("extract", [str(base), str(tuned), *more], out, family, force)


@verb(GROUP)
def prune(
    file: Path = FILE,
    out: Path = OUT,
    drop: list[str] = typer.Option(
        [], "--drop", metavar="PATTERN", help="Layers to leave out; * stands for anything."
    ),
    keep: list[str] = typer.Option([], "--keep", metavar="PATTERN", help="Leave out all others."),
    below: float | None = typer.Option(
        None, "--below", metavar="NORM", help="Leave out layers whose change is smaller."
    ),
    unknown: bool = typer.Option(
        False, "--unknown", help="Leave out what is unknown or incomplete."
    ),
    family: str | None = FAMILY,
    force: bool = FORCE,
) -> None:
    """Leave layers of an adapter out.

    Example: stune lora prune style.safetensors --drop 'text_encoder*' --out unet.safetensors
    """
    if not (drop or keep or unknown or below is not None):
        raise usage("nothing to leave out", fix="give --drop, --keep, --below or --unknown")
    more = [part for name in drop for part in ("--drop", name)]
    more += [part for name in keep for part in ("--keep", name)]
    more += [*_given("--below", below), *(["--unknown"] if unknown else [])]
    _write("prune", [str(file), *more], out, family, force)


@verb(GROUP)
def diff(
    one: Path = typer.Argument(..., metavar="FILE", help="Adapter file."),
    other: Path = typer.Argument(..., metavar="OTHER", help="Adapter file to compare with."),
    family: str | None = FAMILY,
) -> None:
    """Compare what two adapters do, layer by layer.

    Layout, rank and alpha may differ: changes are compared, not tensors.

    Example: stune lora diff step-500.safetensors step-1000.safetensors
    """
    found = _ask("diff", str(one), str(other), *_given("--family", family))
    data = found.data
    extra = {name: value for name, value in data.items() if name != "layers"}
    output.table(found.schema, data["layers"], DIFF, id="layer", extra=extra)
    if output.for_people():
        changed = sum(row["state"] != "equal" for row in data["layers"])
        narrate.say(f"{changed} of {len(data['layers'])} layers differ")


def _layout(name: str) -> None:
    if name not in LAYOUTS:
        raise usage(f"--to {name!r} is not a layout", fix=f"use one of {', '.join(LAYOUTS)}")


def _given(option: str, value: object) -> list[str]:
    return [] if value is None else [f"{option}={value}"]


def _ask(action: str, *arguments: str) -> Document:
    return ask(["lora", action, *arguments], packages=("torch", "safetensors"))


def _write(action: str, arguments: list[str], out: Path, family: str | None, force: bool) -> None:
    """Ask for a file to be written, and say what was."""
    more = [f"--out={out}", *_given("--family", family), *(["--force"] if force else [])]
    found = _ask(action, *arguments, *more)
    columns: tuple[Column, ...] = tuple(c for c in WRITTEN if c.name in found.data)
    output.record(found.schema, found.data, columns, id="file", findings=found.findings)
    narrate.report(found.findings)


def _end(found: Any, fail_on: str) -> None:
    if fail_on not in LEVELS:
        raise usage(f"--fail-on {fail_on!r} is not a level", fix=f"use one of {', '.join(LEVELS)}")
    narrate.report(found.findings)
    if at_or_above(list(found.findings), fail_on):  # type: ignore[arg-type]
        raise CliError(narrate.FINDINGS)
