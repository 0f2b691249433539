"""Batch, accumulation, devices, and the length of the run."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.config.importers.simpletuner.translation import Translation


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of one optimiser step: per device, per accumulation, over devices."""

    size: int
    accumulate: int
    devices: int

    @property
    def effective(self) -> int:
        return self.size * self.accumulate * self.devices


def batch(t: Translation) -> Batch:
    """The source's batch, and its like on one device."""
    found = Batch(
        t.read("train_batch_size", "int"),
        t.read("gradient_accumulation_steps", "int"),
        max(1, t.read("num_processes", "int")),
    )
    t.put("train_batch_size", "train.batch_size", found.size)
    if found.devices == 1:
        if t.given("gradient_accumulation_steps"):
            t.put("gradient_accumulation_steps", "train.accumulate", found.accumulate)
        t.source.ignored("num_processes", "one device, as here")
        return found
    note = f"{found.devices} devices x {found.accumulate} there: the same effective batch on one"
    total = found.accumulate * found.devices
    t.put("num_processes", "train.accumulate", total, note=note, approx=True)
    t.source.approximated("gradient_accumulation_steps", "train.accumulate", note)
    return found


def length(t: Translation) -> None:
    steps = t.read("max_train_steps", "int") or 0
    epochs = t.read("num_train_epochs", "int")
    if steps > 0:
        t.put("max_train_steps", "train.steps", steps)
        if t.given("num_train_epochs") and epochs > 0:
            t.source.ignored("num_train_epochs", "max_train_steps is set as well, and is taken")
            t.tell(
                "IMP006",
                f"both max_train_steps {steps} and num_train_epochs {epochs} are set",
                about="num_train_epochs",
                why="SimpleTuner refuses to start with both",
                fix="steps are taken; to count epochs, set train.epochs instead",
            )
        t.source.ignored("num_train_epochs", "steps are counted instead")
        return
    t.source.ignored("max_train_steps", "epochs are counted instead")
    if epochs > 0:
        t.put("num_train_epochs", "train.epochs", epochs)
    t.source.ignored("num_train_epochs", "it is 0, so it sets no length")
