"""Settings that need no thought: empty ones, idle ones, those of other families, unknown ones.

What is left afterwards is translated by the functions of `settings`.
"""

from __future__ import annotations

from trainer.config.importers import values
from trainer.config.importers.simpletuner import names
from trainer.config.importers.simpletuner.options.rule import Rule
from trainer.config.importers.simpletuner.options.table import OPTIONS
from trainer.config.importers.simpletuner.translation import Translation
from trainer.config.suggest import nearest

MAY_BE_EMPTY = {"validation_negative_prompt", "hub_model_id"}
UNKNOWN = "SimpleTuner has no option of this name"
DECISIVE = ("control", "distillation_method")
_OFF = "it is so here anyway"


def sweep(t: Translation) -> None:
    """Settle all settings that stand for themselves; needs the family."""
    for name in t.source.open_names():
        rule = OPTIONS.get(name)
        if rule is None:
            _foreign(t, name)
            continue
        if values.empty(t.source.value(name)) and name not in MAY_BE_EMPTY:
            _idle(t, name, "it is empty")
    for name in t.source.open_names():
        _settle(t, name, OPTIONS[name])


def _settle(t: Translation, name: str, rule: Rule) -> None:
    if rule.families and t.family and t.family not in rule.families:
        _idle(t, name, f"it acts on {', '.join(rule.families)} only")
    elif rule.gate and not t.acts(rule.gate):
        _idle(t, name, f"it has no effect without {rule.gate}")
    elif rule.how == "dropped":
        t.source.ignored(name, rule.why)
    elif rule.how == "lacking":
        if any(values.same(t.source.value(name), off) for off in rule.off):
            t.source.ignored(name, _OFF)
        else:
            t.source.unsupported(name, rule.why)
            if name in DECISIVE:
                t.tell(
                    "IMP007",
                    f"{name}: {rule.why}",
                    about=name,
                    why="the job trains something else without it",
                    fix="only go on if an ordinary adapter or model is meant",
                )
    elif rule.how == "direct":
        value = values.read(t.source.value(name), rule.kind)
        if value is None:
            t.refuse(name, "it cannot be read")
        else:
            t.put(name, rule.to, value)


def _idle(t: Translation, name: str, note: str) -> None:
    t.idle.add(name)
    t.source.ignored(name, note)


def _foreign(t: Translation, name: str) -> None:
    """A name that is no option: a leftover, a variable of the environment, or unknown."""
    t.idle.add(name)
    note = names.LEFTOVERS.get(name) or names.REMOVED.get(name)
    if note is None and name.startswith(names.OWN_VARIABLES):
        note = "a variable of SimpleTuner's own process"
    if note is not None:
        t.source.ignored(name, note)
        return
    near = nearest(name, OPTIONS)
    hint = f"; did you mean {near[0]}?" if near else ""
    t.source.unsupported(name, f"{UNKNOWN}{hint}")
    item = t.source.item(name)
    assert item is not None
    t.tell(
        "IMP004",
        f"{item.key} is not an option of SimpleTuner",
        about=name,
        fix=f"did you mean {near[0]}?" if near else "remove it, or set what it means by hand",
        level="warn",
    )
