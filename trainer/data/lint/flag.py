"""What a check says of one sample, before it becomes part of a finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trainer.config.schema.data import DatasetConfig
from trainer.data.dataset import Dataset
from trainer.data.lint.measure import Measures
from trainer.data.probe import Facts


@dataclass(frozen=True, slots=True)
class Flag:
    """One remark; `other` is the sample it is compared with."""

    code: str
    dataset: str
    path: str
    detail: str
    other: str = ""
    caption: tuple[str, ...] | None = None  # mechanical correction of its captions

    def document(self) -> dict[str, Any]:
        fields = {"code": self.code, "dataset": self.dataset, "path": self.path}
        return fields | {"detail": self.detail, "other": self.other}


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A readable sample with everything the checks look at; recordings have no `measures`."""

    dataset: int  # number of its part
    relpath: str
    facts: Facts
    content: bytes
    captions: tuple[str, ...]
    measures: Measures | None

    @property
    def size(self) -> tuple[int, int]:
        return self.facts.width, self.facts.height


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """The samples of one dataset."""

    number: int
    dataset: Dataset
    settings: DatasetConfig
    needs_sound: bool  # films without sound cannot be used
    samples: Sequence[Sample]

    @property
    def id(self) -> str:
        return self.dataset.id

    @property
    def pictures(self) -> list[Sample]:
        """Pictures that decode."""
        if self.dataset.kind != "image":
            return []
        return [s for s in self.samples if s.measures is not None and s.measures.reason is None]

    @property
    def sized(self) -> list[Sample]:
        """Pictures and films whose size is known and which are not damaged."""
        return [s for s in self.samples if min(s.size) and not (s.measures and s.measures.reason)]

    def flag(self, code: str, sample: Sample, detail: str, **more: Any) -> Flag:
        return Flag(code, self.id, sample.relpath, detail, **more)
