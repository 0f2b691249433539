"""What became of the files of a dataset, stage by stage, and the findings that follow.

Every picture that is not trained on has a reason that can be listed. Losses of one kind are one
finding with the first twenty names, so a folder of broken files does not flood the log.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from trainer.errors import DataError
from trainer.findings import Finding, finding

Stage = Literal[
    "excluded",
    "unreadable",
    "small",
    "shape",
    "short",
    "uncaptioned",
    "bad caption",
    "unpaired",
    "misshapen",
    "undecodable",
    "not finite",
]
CHOSEN: tuple[Stage, ...] = ("excluded", "small", "shape", "short")  # left out by the settings
PAIRING: tuple[Stage, ...] = ("unpaired", "misshapen")
EXAMPLES = 20
BAD_SHARE = 0.05  # of unreadable pictures; more means the folder as a whole is broken

_TEXTS: dict[Stage, tuple[str, str, str, str]] = {  # code, what, why, fix
    "unreadable": (
        "DAT003",
        "cannot be read",
        "an unreadable picture is left out and tried again once the file changes",
        "replace or remove the file",
    ),
    "undecodable": (
        "DAT003",
        "cannot be decoded",
        "a damaged picture is left out and tried again once the file changes",
        "replace or remove the file",
    ),
    "not finite": (
        "DAT101",
        "cannot be encoded",
        "a latent with NaN or infinity would end the training",
        'use fp32 for the VAE: model.components.vae.dtype = "fp32"',
    ),
    "small": (
        "DAT005",
        "is smaller than min_size",
        "enlarging it would teach blur",
        "lower min_size to use it",
    ),
    "excluded": (
        "DAT012",
        "is left out by the overlay",
        "the overlay of the dataset names it",
        "remove it from the overlay's exclude table to use it",
    ),
    "shape": (
        "DAT016",
        "has a shape or size that the settings leave out",
        "min_aspect, max_aspect and max_upscale say what is trained on",
        "change them to use it",
    ),
    "short": (
        "DAT017",
        "is too short",
        "padding it would teach silence or standing still",
        "lower min_frames or min_s to use it",
    ),
    "unpaired": (
        "DAT018",
        "has no partner",
        "its mask or conditioning picture is part of what is learned",
        'add the file under the same name, or set data.missing_partner = "skip"',
    ),
    "misshapen": (
        "DAT019",
        "has a partner of another shape",
        "a strict partner is cut by the same box as its sample",
        'make both of one shape, or pair them with match = "loose"',
    ),
    "uncaptioned": (
        "DAT006",
        "has no caption",
        "the model would not know what it is shown",
        'write the caption, or set data.missing_caption to "skip", "filename" or "empty"',
    ),
    "bad caption": (
        "DAT007",
        "has no usable caption",
        "the model would not know what it is shown",
        'write the caption, or set data.missing_caption to "skip", "filename" or "empty"',
    ),
}


@dataclass(slots=True)
class Loss:
    """Pictures lost for one kind of reason."""

    count: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)  # name, reason


@dataclass(slots=True)
class Funnel:
    """How many files of the dataset `name` in `folder` are left after each stage."""

    name: str
    folder: str
    found: int = 0
    readable: int = 0
    large_enough: int = 0
    captioned: int = 0
    paired: int | None = None  # of datasets with partners
    used: int = 0
    lost: dict[Stage, Loss] = field(default_factory=dict)

    def exclude(self, relpath: str, reason: str) -> None:
        """A sample that was listed, but is not looked at."""
        self.found += 1
        self.lose("excluded", relpath, reason)

    def lose(self, stage: Stage, relpath: str, reason: str) -> None:
        loss = self.lost.setdefault(stage, Loss())
        loss.count += 1
        if len(loss.examples) < EXAMPLES:
            loss.examples.append((relpath, reason))

    def count(self, *stages: Stage) -> int:
        return sum(self.lost[s].count for s in stages if s in self.lost)

    def __str__(self) -> str:
        pair = "" if self.paired is None else f"pair {self.paired} → "
        return (
            f"found {self.found} → readable {self.readable} → size {self.large_enough} → "
            f"caption {self.captioned} → {pair}used {self.used}"
        )

    def finding(self, stage: Stage, level: Literal["info", "warn", "error"]) -> Finding:
        """All losses of one kind as one finding."""
        loss = self.lost[stage]
        code, what, why, fix = _TEXTS[stage]
        name, reason = loss.examples[0]
        more = f" (and {loss.count - 1} more of {self.found})" if loss.count > 1 else ""
        return finding(
            code,
            f"{self.name}: {name} {what}: {reason}{more}",
            where=f"{self.folder}/{name}",
            why=why,
            fix=fix,
            level=level,
            count=loss.count,
            files=[{"path": path, "reason": reason} for path, reason in loss.examples],
        )

    def findings(self, *stages: Stage) -> list[Finding]:
        """What was lost at these stages."""
        lost: list[Stage] = [stage for stage in stages if stage in self.lost]
        return [self.finding(s, "info" if s in CHOSEN else "warn") for s in lost]


def judge(
    funnel: Funnel, *, on_corrupt: str, missing_caption: str, missing_partner: str = "fail"
) -> None:
    """Raise DataError when the losses are more than the settings accept."""
    errors: list[Finding] = []
    if on_corrupt == "fail":
        bad: tuple[Stage, ...] = ("unreadable", "undecodable", "not finite")
        errors += [funnel.finding(s, "error") for s in bad if s in funnel.lost]
    if missing_caption == "fail":
        silent: tuple[Stage, ...] = ("uncaptioned", "bad caption")
        errors += [funnel.finding(s, "error") for s in silent if s in funnel.lost]
    if missing_partner == "fail":
        errors += [funnel.finding(s, "error") for s in PAIRING if s in funnel.lost]
    if not errors and funnel.used == 0:
        errors.append(_empty(funnel))
    broken = funnel.count("unreadable", "undecodable")
    if not errors and broken > max(1, BAD_SHARE * funnel.found):
        errors.append(_too_many(funnel, broken))
    if errors:
        raise DataError(*errors)


def _empty(funnel: Funnel) -> Finding:
    return finding(
        "DAT002",
        f"dataset {funnel.name} has no usable picture: {funnel}",
        where=funnel.folder,
        why=_reasons(funnel) or "the folder holds no file of a known picture format",
        fix="check path, min_size and captions of the dataset",
    )


def _too_many(funnel: Funnel, broken: int) -> Finding:
    return finding(
        "DAT004",
        f"dataset {funnel.name}: {broken} of {funnel.found} pictures cannot be read",
        where=funnel.folder,
        why=_reasons(funnel),
        fix="repair the folder: single bad files are left out, this many are not",
        files=[name for loss in funnel.lost.values() for name, _ in loss.examples],
    )


def _reasons(funnel: Funnel) -> str:
    """The most frequent reasons among the examples."""
    counted = Counter(reason for loss in funnel.lost.values() for _, reason in loss.examples)
    return "; ".join(f"{reason} ({n}x)" for reason, n in counted.most_common(3))
