"""The state of one translation: settings of the source on one side, the job on the other.

Reading a setting gives its value, or SimpleTuner's default; entering one checks it against the
schema and says what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainer import catalog
from trainer.catalog.facts import FamilyFacts, Flavour, Prediction
from trainer.config.importers import values
from trainer.config.importers.draft import Draft, refused
from trainer.config.importers.ledger import Ledger
from trainer.config.importers.report import Default
from trainer.config.importers.simpletuner.options.table import OPTIONS
from trainer.config.importers.simpletuner.places import Places
from trainer.config.importers.values import Kind
from trainer.findings import Finding, Level, finding


@dataclass(slots=True)
class Translation:
    """`source` holds the run's settings, `draft` the job; `idle` names settings without effect."""

    source: Ledger
    draft: Draft
    places: Places
    env: Mapping[str, str] = field(default_factory=dict)
    family: str = ""
    findings: list[Finding] = field(default_factory=list)
    defaults: list[Default] = field(default_factory=list)
    idle: set[str] = field(default_factory=set)

    @property
    def facts(self) -> FamilyFacts | None:
        return catalog.family_facts(self.family) if self.family in catalog.FAMILIES else None

    @property
    def editing(self) -> Flavour | None:
        """The checkpoint, if it is one that edits pictures."""
        facts, name = self.facts, self.draft.get("model.flavour")
        flavour = facts.flavours.get(name or facts.default_flavour) if facts else None
        return flavour if flavour is not None and flavour.edits else None

    @property
    def is_flow(self) -> bool:
        return self.facts is not None and self.facts.prediction is Prediction.FLOW

    @property
    def trains_adapter(self) -> bool:
        return self.draft.get("model.mode") in (None, "adapter")

    @property
    def trains_base(self) -> bool:
        return self.draft.get("model.mode") == "full"

    def given(self, name: str) -> bool:
        """Whether a setting is in the source and acts."""
        return self.source.given(name) and name not in self.idle

    def read(self, name: str, kind: Kind) -> Any:
        """The value of a setting; SimpleTuner's default where it is not given or unreadable."""
        default = OPTIONS[name].default
        if not self.given(name):
            return default
        value = values.read(self.source.value(name), kind)
        if value is None:
            self.refuse(name, "it cannot be read")
            return default
        return value

    def carry(
        self, name: str, path: str, kind: Kind, change: Callable[[Any], Any] = lambda value: value
    ) -> bool:
        """Enter the value of a setting that is given; whether it was."""
        if not self.given(name):
            return False
        value = self.read(name, kind)
        return self.given(name) and self.put(name, path, change(value))

    def acts(self, name: str) -> bool:
        """Whether a setting that others depend on is on."""
        rule, given = OPTIONS[name], self.given(name)
        value = self.source.value(name) if given else rule.default
        if value is None or value == "" or values.boolean(value) is False:
            return False
        return values.number(value) != 0 and not any(values.same(value, off) for off in rule.off)

    def put(
        self, name: str, path: str, value: Any, *, note: str = "", approx: bool = False
    ) -> bool:
        """Enter a value that comes from a setting; False when the schema refuses it."""
        reason = refused(path, value)
        if reason:
            self.refuse(name, reason)
            return False
        self.draft.set(path, value, note if approx else "")
        if self.given(name):
            self.source.settle(name, "approximated" if approx else "mapped", path, note)
        else:
            self.defaults.append(Default(name, value, path))
        return True

    def refuse(self, name: str, reason: str) -> None:
        """A value that cannot be carried over."""
        self.idle.add(name)
        value = values.shown(self.source.value(name))
        self.source.unsupported(name, f"{value} is left out: {reason}")

    def tell(
        self, code: str, message: str, *, level: Level = "error", about: str = "", **more: Any
    ) -> None:
        """Report a finding; `about` names the setting whose place it gets."""
        place = self.source.where(about) if about else ""
        self.findings.append(finding(code, message, where=place, level=level, **more))

    def ignore(self, names: Sequence[str], note: str) -> None:
        for name in names:
            self.source.ignored(name, note)
