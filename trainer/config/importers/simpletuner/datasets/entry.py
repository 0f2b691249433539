"""One entry of a dataset file: its keys, and the dataset of the job that it becomes.

Nested keys are settled one by one under their dotted path, as `caption_shuffle.count`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer.config.importers import values
from trainer.config.importers.draft import refused
from trainer.config.importers.ledger import Item, Ledger
from trainer.config.importers.report import Default
from trainer.config.importers.simpletuner.translation import Translation
from trainer.config.importers.values import Kind
from trainer.findings import finding

SAMPLES = ("image", "video", "audio", "caption", "eval")
PARTNERS = ("conditioning",)
_STRATEGIES = {"huggingface": "huggingface", "webshart": "webshart", "csv": "csv"}
_DESCENDED = ("conditioning",)  # lists whose items have keys of their own


def flattened(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Leaf paths and values; an empty table is a leaf."""
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from flattened(value, f"{path}.{key}" if path else str(key))
    elif path in _DESCENDED and isinstance(data, list) and data:
        for index, value in enumerate(data):
            yield from flattened(value, f"{path}[{index}]")
    else:
        yield path, data


def ledger(data: Any, index: int, file: str, lines: Mapping[str, int]) -> Ledger:
    """The keys of entry number `index`, as `datasets[0].crop`."""
    items = []
    for path, value in flattened(data):
        place = lines.get(f"[{index}].{path}" if path else f"[{index}]", lines.get(f"[{index}]"))
        where = f"{file}:{place}" if place else file
        dot = "." if path else ""
        items.append(Item(f"datasets[{index}]{dot}{path}", path, value, where))
    return Ledger(items)


@dataclass(slots=True)
class Entry:
    """`run` is the translation of the run configuration, `path` the dataset's place in the job."""

    source: Ledger
    run: Translation
    name: str = ""  # of its keys in the report, as datasets[0]
    id: str = ""
    type: str = "local"
    dataset_type: str = "image"
    path: str = ""
    role: str = "train"
    kind: str = "image"
    idle: set[str] = field(default_factory=set)

    @property
    def is_partner(self) -> bool:
        return self.dataset_type in PARTNERS

    @property
    def is_trained(self) -> bool:
        return self.role in ("train", "prior")

    @property
    def caption_strategy(self) -> str:
        """Its own, else that of its type, else the run's."""
        own = self.read("caption_strategy", "text") or _STRATEGIES.get(self.type)
        return (own or self.run.read("caption_strategy", "text")).strip().lower()

    def given(self, name: str) -> bool:
        """Whether a key is there and says something."""
        if name in self.idle or not self.source.given(name):
            return False
        return not values.empty(self.source.value(name))

    def read(self, name: str, kind: Kind, default: Any = None) -> Any:
        """The value of a key; the default where it is not given or unreadable."""
        if not self.given(name):
            return default
        value = values.read(self.source.value(name), kind)
        if value is None:
            self.refuse(name, "it cannot be read")
            return default
        return value

    def put(self, name: str, key: str, value: Any, *, note: str = "", approx: bool = False) -> bool:
        """Enter a value at a key of the dataset; False when the schema refuses it."""
        path = f"{self.path}.{key}"
        reason = refused(path, value)
        if reason:
            self.refuse(name, reason)
            return False
        self.run.draft.set(path, value, note if approx else "")
        if self.given(name):
            self.source.settle(name, "approximated" if approx else "mapped", path, note)
        else:
            self.run.defaults.append(Default(f"{self.name}.{name}", value, path))
        return True

    def carry(
        self, name: str, key: str, kind: Kind, change: Callable[[Any], Any] = lambda value: value
    ) -> bool:
        """Enter the value of a key that is given and readable; whether it was."""
        value = self.read(name, kind)
        return value is not None and self.put(name, key, change(value))

    def set(self, key: str, value: Any, comment: str = "") -> None:
        """A value that no key of the source stands for."""
        self.run.draft.set(f"{self.path}.{key}", value, comment)

    def refuse(self, name: str, reason: str) -> None:
        self.idle.add(name)
        shown = values.shown(self.source.value(name))
        self.source.unsupported(name, f"{shown} is left out: {reason}")

    def tell(self, code: str, message: str, about: str = "", **more: Any) -> None:
        """Report a finding; `about` names the key whose place it gets."""
        place = self.source.where(about) if about else ""
        self.run.findings.append(finding(code, message, where=place, **more))

    def ignore(self, names: tuple[str, ...], note: str) -> None:
        """Settle keys, and all keys below them."""
        for name in self.source.open_names():
            if name in names or name.startswith(tuple(f"{n}." for n in names)):
                self.source.ignored(name, note)
