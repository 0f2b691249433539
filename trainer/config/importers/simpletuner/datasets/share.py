"""How much of the run a dataset gets: repeats, schedule, role in training."""

from __future__ import annotations

from trainer.config.importers.simpletuner.datasets.entry import Entry
from trainer.config.importers.simpletuner.translation import Translation

_DRAWN = (
    *("repeats", "probability", "train_batch_size", "start_epoch", "start_step", "end_epoch"),
    *("end_step", "slider_strength", "timestep_sampling_offset"),
)
_PRIOR = ("is_regularisation_data", "is_regularization_data")


def role_of(entry: Entry) -> str:
    """Role of a dataset of samples."""
    if entry.dataset_type == "eval":
        entry.ignore(_PRIOR, "it is measured, not trained on")
        return "eval"
    for name in _PRIOR:
        if entry.read(name, "bool", False):
            if not entry.run.trains_base:
                entry.source.mapped(name, f"{entry.path}.role")
                return "prior"
            entry.refuse(name, "it needs a frozen model, and all weights are trained")
    entry.ignore(_PRIOR, "it is off, as it is here")
    return "train"


def share(entry: Entry) -> None:
    if not entry.is_trained:
        entry.ignore(_DRAWN, "no batches are drawn from it")
    else:
        entry.set("leftover", "pad", "SimpleTuner fills the last batch of a bucket by repetition")
        _repeats(entry)
        _active(entry)
        entry.carry("train_batch_size", "batch_size", "int")
        entry.carry("slider_strength", "slider", "float", float)
        if entry.given("timestep_sampling_offset"):
            _offset(entry)
    if entry.given("max_num_samples"):
        note = "as many, but others: chosen by hash here"
        count = entry.read("max_num_samples", "int")
        entry.put("max_num_samples", "max_samples", count, note=note, approx=True)


def _repeats(entry: Entry) -> None:
    """SimpleTuner counts further passes; here it is all of them."""
    if entry.given("repeats"):
        more = entry.read("repeats", "int")
        note = f"{more} further passes there, all passes here" if more else ""
        if more is not None:
            entry.put("repeats", "repeats", more + 1, note=note)
    if entry.given("probability"):
        chance = entry.read("probability", "float", 1)
        if chance <= 0:
            entry.put("probability", "enabled", False, note="never drawn from")
        elif chance == 1:
            entry.source.ignored("probability", "the same as of every dataset")
        else:
            entry.source.approximated(
                "probability",
                "data.mix",
                "it changes only the order there: every sample is seen as often as repeats says. "
                'To weigh datasets against each other set data.mix = "stream" and weight',
            )


def _active(entry: Entry) -> None:
    """First step and epoch count from 0 here; the end is the first one without it."""
    for name, key, earlier in (
        ("start_epoch", "active.from_epoch", 1),
        ("start_step", "active.from_step", 1),
        ("end_epoch", "active.to_epoch", 0),
        ("end_step", "active.to_step", 0),
    ):
        if not entry.given(name):
            continue
        value = entry.read(name, "int")
        if value is None:
            continue
        if earlier and value <= 1:
            entry.source.ignored(name, "from the start, as it is here")
        else:
            entry.put(name, key, value - earlier)


def _offset(entry: Entry) -> None:
    offset = entry.read("timestep_sampling_offset", "float")
    sampling = entry.run.draft.get("noise.sampling")
    if offset and entry.run.is_flow and sampling in (None, "sigmoid"):
        entry.put("timestep_sampling_offset", "timestep_offset", float(offset))
    entry.source.ignored("timestep_sampling_offset", "it has no effect on this density of times")


def mixing(t: Translation, entries: list[Entry]) -> None:
    """Which dataset a batch comes from."""
    if t.given("data_backend_sampling"):
        kind = t.read("data_backend_sampling", "text")
        note = "datasets are interleaved so that they end together; as often as before"
        if kind == "auto-weighting":
            t.put("data_backend_sampling", "data.mix", "epoch")
        elif kind == "uniform":
            t.put("data_backend_sampling", "data.mix", "epoch", note=note, approx=True)
        else:
            t.refuse("data_backend_sampling", "uniform and auto-weighting are known")
    partners = [t.draft.get(f"{e.path}.conditioning") or [] for e in entries]
    if max(map(len, partners), default=0) > 1:
        kind = t.read("conditioning_multidataset_sampling", "text")
        name, path = "conditioning_multidataset_sampling", "data.conditioning_mix"
        if t.editing and kind == "random":
            t.source.approximated(name, path, "all of them: the text is read with all pictures")
        else:
            t.put(name, path, kind)
    note = "no dataset has several partners"
    t.ignore(["conditioning_multidataset_sampling"], note)
