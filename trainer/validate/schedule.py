"""When to sample and to measure, and doing it without touching the training.

Both use their own keyed randomness, restore the module mode, and write under the step's name, so
a resumed run redoes exactly what an interruption cut off.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from trainer.errors import Preempted, TrainerError
from trainer.findings import Finding, finding
from trainer.loop.parts import Parts
from trainer.loop.session import Session
from trainer.runs.events import read_events
from trainer.validate.heldout import held_out_loss
from trainer.validate.metrics import gram_distance, references, style_of
from trainer.validate.sample import load_samples, make_samples


class Validation:
    """Decides from the step number alone; remembers which steps were measured."""

    def __init__(self, parts: Parts, session: Session) -> None:
        self.parts = parts
        self.session = session
        self._target: list[Tensor] | None = None
        events = read_events(session.run.events)
        self.measured = {e["step"] for e in events if e["kind"] == "eval"}

    def run_due(self, step: int) -> None:
        asked, self.session.control.validate = self.session.control.validate, False
        sample = asked or self._samples_due(step)
        measure = self._measure_due(step)
        if not (sample or measure):
            return
        with self.session.phase("validate"):
            if sample:
                self._sample(step)
            if measure:
                self.measure(step)

    def _samples_due(self, step: int) -> bool:
        config = self.parts.config.validation
        if not config.texts:
            return False
        if (self.session.run.samples_at(step) / "meta.json").exists():
            return False
        if step == 0:
            return config.at_start
        if step == self.parts.total_steps:
            return config.at_end
        return config.every_steps is not None and step % config.every_steps == 0

    def _measure_due(self, step: int) -> bool:
        config = self.parts.config.eval
        nothing = not self.parts.prepared.plan_eval and config.style_reference is None
        if nothing or step in self.measured:
            return False
        edge = step in (0, self.parts.total_steps)
        return edge or (config.every_steps is not None and step % config.every_steps == 0)

    def measure(self, step: int) -> None:
        """Numbers of one step in one record; a stop request leaves them to the next attempt."""
        numbers = {
            "loss": held_out_loss(self.parts, should_stop=self.session.stop_requested),
            "style_distance": self._style_distance(step),
        }
        found = {name: value for name, value in numbers.items() if value is not None}
        if found and not self.session.stop_requested():
            self.measured.add(step)
            self.session.events.emit("eval", step=step, **found)

    def _style_distance(self, step: int) -> float | None:
        """Of the pictures of this step; None without a reference or without pictures."""
        config, family = self.parts.config, self.parts.family
        pictures, entries = load_samples(self.session, step)
        first = [e.get("adapter") for e in entries[:1]]  # the set without another adapter, if drawn
        pictures = [
            p for p, e in zip(pictures, entries, strict=True) if [e.get("adapter")] == first
        ]
        if config.eval.style_reference is None or not pictures:
            return None
        family.load("vae")
        size = self.parts.prepared.sample_size
        if self._target is None:  # kept: the folder may be gone when the run is long under way
            target = references(Path(config.eval.style_reference), config.data.background)
            self._target = style_of(family.modules["vae"], target, size)
        return gram_distance(style_of(family.modules["vae"], pictures, size), self._target)

    def _sample(self, step: int) -> None:
        try:
            make_samples(self.parts, self.session, step)
        except (Preempted, KeyboardInterrupt):
            raise
        except TrainerError as error:  # it says itself what is wrong
            self.session.report(error.finding.model_copy(update={"level": "warn"}))
        except Exception as error:  # a failed picture must not end a night's training
            self.session.report(no_pictures(step, error))


def no_pictures(step: int, error: Exception) -> Finding:
    """What is told when sampling failed in a way that nobody foresaw."""
    return finding(
        "RUN012",
        f"no pictures at step {step}: {type(error).__name__}: {error}",
        where="validation",
        why="training goes on without them",
        fix="check validation.resolution, validation.steps and the free memory",
        level="warn",
    )
