"""The course of the learning rate.

Three of SimpleTuner's schedules do not do what their names say: they are waves whose half period
is the warm-up, or stand still. Names are kept, their usual meaning is used, and the difference is
told, except where the wave is the usual fall.
"""

from __future__ import annotations

from trainer import catalog
from trainer.config.importers.simpletuner.translation import Translation

_SHAPES = ("lr_num_cycles", "lr_power", "lr_end")


def schedule(t: Translation) -> None:
    name = t.read("lr_scheduler", "text").strip().lower()
    name = "cosine" if name == "cosine_with_warmup" else name
    warmup = max(0, t.read("lr_warmup_steps", "int"))
    entry = catalog.OPTIMIZERS.get(t.draft.get("optimizer.name") or "")
    if entry is not None and entry.self_averaging:
        note = "a schedule-free optimiser keeps its rate, there as here"
        t.ignore(["lr_scheduler", *_SHAPES], note)
        if warmup:
            t.put("lr_warmup_steps", "optimizer.args.warmup_steps", warmup)
        t.ignore(["lr_warmup_steps"], "it is 0, as it is here")
        return
    match name:
        case "constant" | "constant_with_warmup":
            _plain(t, "constant", warmup)
        case "linear":
            _plain(t, "linear", warmup)
        case "polynomial":
            _plain(t, "polynomial", warmup)
            t.put("lr_power", "schedule.power", float(t.read("lr_power", "float")))
            _end(t)
        case "cosine":
            _cosine(t, warmup)
        case "sine" | "cosine_with_restarts":
            _wave(t, name, warmup)
        case _:
            t.refuse("lr_scheduler", "there is no such schedule; the rate stays constant")
            _plain(t, "constant", warmup)
    t.ignore(_SHAPES, f"it has no effect on {name}")


def _plain(t: Translation, name: str, warmup: int) -> None:
    """A schedule that means the same here."""
    if t.given("lr_scheduler"):
        t.put("lr_scheduler", "schedule.name", name)
    if warmup:
        t.put("lr_warmup_steps", "schedule.warmup", warmup)
    t.ignore(["lr_warmup_steps"], "it is 0, as it is here")


def _end(t: Translation) -> None:
    """The rate at the end; SimpleTuner's own default only where it is one."""
    end, rate = t.read("lr_end", "float"), t.draft.get("optimizer.lr")
    if t.given("lr_end") or (rate is not None and end < rate):
        t.put("lr_end", "schedule.end_lr", float(end))


def _cosine(t: Translation, warmup: int) -> None:
    steps = t.draft.get("train.steps")
    _end(t)
    if warmup and warmup == steps:
        t.put("lr_scheduler", "schedule.name", "cosine")
        note = "SimpleTuner's cosine has no warm-up: this is its half period, here the whole run"
        t.source.mapped("lr_warmup_steps", "schedule.name", note)
        return
    half = warmup or 1000
    note = f"one fall over the run; SimpleTuner's is a wave that falls and rises every {half} steps"
    t.put("lr_scheduler", "schedule.name", "cosine", note=note, approx=True)
    if warmup and (steps is None or warmup < steps):
        t.put(
            "lr_warmup_steps",
            "schedule.warmup",
            warmup,
            note="the half period of the wave",
            approx=True,
        )
    t.ignore(["lr_warmup_steps"], "it is the half period of SimpleTuner's wave, not a warm-up")


def _wave(t: Translation, name: str, warmup: int) -> None:
    steps = t.draft.get("train.steps")
    _end(t)
    if name == "sine":
        cycles = max(1, round(steps / (2 * warmup))) if steps and warmup else 1
        note = "waves of the same length that start at the full rate; SimpleTuner's start at half"
        t.put("lr_scheduler", "schedule.name", "sine", note=note, approx=True)
        t.source.approximated("lr_warmup_steps", "schedule.cycles", "half the length of a wave")
        t.draft.set("schedule.cycles", cycles)
        return
    note = "with restarts; SimpleTuner's stays at the full rate, by a defect"
    t.put("lr_scheduler", "schedule.name", name, note=note, approx=True)
    t.carry("lr_num_cycles", "schedule.cycles", "int")
    t.ignore(["lr_warmup_steps"], "it is the length of a cycle there, not a warm-up")
