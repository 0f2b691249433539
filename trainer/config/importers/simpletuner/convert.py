"""Import a SimpleTuner run: read, translate, write the job file, check it, say what it means."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainer.config.importers.draft import Draft
from trainer.config.importers.ledger import Ledger
from trainer.config.importers.report import Imported, KeyRecord
from trainer.config.importers.simpletuner.datasets.convert import datasets
from trainer.config.importers.simpletuner.datasets.entry import Entry
from trainer.config.importers.simpletuner.places import Places
from trainer.config.importers.simpletuner.read import Sources, read_sources
from trainer.config.importers.simpletuner.semantics import semantics
from trainer.config.importers.simpletuner.settings import identity, objective, pictures, run
from trainer.config.importers.simpletuner.settings.adapter import adapter
from trainer.config.importers.simpletuner.settings.length import Batch, batch, length
from trainer.config.importers.simpletuner.settings.memory import memory
from trainer.config.importers.simpletuner.settings.optimizer import optimizer
from trainer.config.importers.simpletuner.settings.schedule import schedule
from trainer.config.importers.simpletuner.sweep import sweep
from trainer.config.importers.simpletuner.translation import Translation
from trainer.config.lint import lint_text
from trainer.findings import finding

TOOL = "simpletuner"


def import_simpletuner(
    paths: Sequence[Path],
    *,
    out: Path | None = None,
    base_dir: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Imported:
    """The job of a run's files; ConfigError when they cannot be read.

    `out` is where the job file will lie (nothing is written here); without it, relative paths are
    those of a job read from `base_dir`, by default the current folder.
    """
    env = os.environ if env is None else env
    target = out.absolute().parent if out else (base_dir or Path.cwd())
    sources = read_sources(paths, target, env)
    source = Ledger(sources.run.items if sources.run else [])
    t = Translation(source, Draft(), Places(sources.folder, target), env)
    t.findings += sources.findings
    batch_ = _settings(t, sources)
    ledgers, entries = datasets(t, sources.datasets)
    if sources.run is not None:
        pictures.evaluation(t, any(e.role == "eval" for e in entries))
    t.ignore(source.open_names(), "it has no effect with the other settings")
    keys = [r for ledger in (source, *ledgers) for r in ledger.records()]
    text = t.draft.toml(_head(sources))
    checked = lint_text(text, name=str(out or "<import>"), format="toml", base_dir=target)
    t.findings += _summary(keys)
    meaning = {} if sources.run is None else _meaning(t, batch_, entries, checked.config)
    return Imported(
        TOOL, t.draft.data, text, keys, meaning, t.defaults, t.findings + checked.findings
    )


def _settings(t: Translation, sources: Sources) -> Batch | None:
    """Translate the run configuration; without one there are only datasets."""
    if sources.run is None:
        t.tell(
            "IMP011",
            "the run configuration is not given, so only datasets are imported",
            why="model, length and rate stand in it, and the defaults of its datasets",
            fix="name its config.json, config.toml or config.env as a further PATH",
            level="warn",
        )
        return None
    identity.family(t)
    sweep(t)
    identity.job(t)
    identity.model(t)
    adapter(t)
    found = batch(t)
    length(t)
    optimizer(t, found)
    schedule(t)
    objective.noise(t)
    objective.loss(t)
    objective.ema(t)
    run.precision(t)
    memory(t)
    run.checkpoints(t)
    run.loader(t)
    pictures.validation(t)
    return found


def _meaning(t, batch_, entries: list[Entry], job):
    assert batch_ is not None
    return semantics(t, batch_, entries, job)


def _head(sources: Sources) -> str:
    names = [f.path.name for f in (sources.run, sources.datasets) if f is not None]
    return f"Imported from SimpleTuner: {', '.join(dict.fromkeys(names))}"


def _summary(keys: Sequence[KeyRecord]) -> list:
    """One finding for all that was left out; each key says why."""
    lost = [k for k in keys if k.status == "unsupported"]
    if not lost:
        return []
    names = ", ".join(k.key for k in lost[:5]) + (" …" if len(lost) > 5 else "")
    return [
        finding(
            "IMP005",
            f"{len(lost)} settings have no counterpart here: {names}",
            where=lost[0].where,
            why="the run would differ in them",
            fix="read their notes in the report",
            level="warn",
            keys=[k.key for k in lost],
        )
    ]
