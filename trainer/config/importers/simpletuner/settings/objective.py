"""Noise levels, loss and the average of weights."""

from __future__ import annotations

from trainer import catalog
from trainer.config.importers.simpletuner.translation import Translation

_FLOW_SNR = "SimpleTuner's width grows with the noise, by a defect; here it falls"


def noise(t: Translation) -> None:
    if t.given("disable_segmented_timestep_sampling"):
        if t.read("disable_segmented_timestep_sampling", "bool"):
            note = "every time is drawn by itself here"
            t.source.ignored("disable_segmented_timestep_sampling", note)
        note = (
            "times of a batch are spread evenly there and drawn one by one here; equal on average"
        )
        t.source.approximated("disable_segmented_timestep_sampling", "noise", note)
    _interval(t)
    _refiner(t)
    if t.is_flow:
        _density(t)
        _shift(t)


def _refiner(t: Translation) -> None:
    """SDXL's refiner is trained on its own part and told a score, unless asked otherwise."""
    if t.family != "sdxl":
        return
    whole, score = "sdxl_refiner_uses_full_range", "data_aesthetic_score"
    if not str(t.draft.get("model.flavour")).startswith("refiner"):
        t.ignore([whole, score], "it acts on the refiner only")
        return
    if t.read(whole, "bool") and t.draft.get("noise.interval") is None:
        t.put(whole, "noise.interval.high", 1.0)
    t.ignore([whole], "the refiner is trained on the last fifth, here as there")
    t.put(score, "model.options.sdxl.aesthetic_score", float(t.read(score, "float")))


def _interval(t: Translation) -> None:
    """One of two experts; PixArt's tell which they are by the name of their weights there."""
    names = ("refiner_training", "refiner_training_strength", "refiner_training_invert_schedule")
    weights = str(t.draft.get("model.path") or t.draft.get("model.flavour") or "").lower()
    stage = next((n for n in (1, 2) if t.family == "pixart" and f"stage{n}" in weights), None)
    if t.is_flow:
        t.ignore(names, "it acts on discrete schedules only")
    elif stage is None and not t.read("refiner_training", "bool"):
        t.ignore(names, "it is off, as it is here")
    else:
        inverted = t.read("refiner_training_invert_schedule", "bool")
        first = inverted if stage is None else stage == 1
        strength = t.read("refiner_training_strength", "float")
        bound = "noise.interval.low" if first else "noise.interval.high"
        t.put("refiner_training_strength", bound, float(strength))
        for name in names[::2]:
            if t.given(name):
                t.source.mapped(name, bound, "which side of the boundary is trained")


def _density(t: Translation) -> None:
    uniform = t.read("flow_use_uniform_schedule", "bool")
    beta = t.read("flow_use_beta_schedule", "bool")
    if uniform and beta:
        t.tell(
            "IMP006",
            "both flow_use_uniform_schedule and flow_use_beta_schedule are set",
            about="flow_use_beta_schedule",
            fix="the uniform density is taken; set noise.sampling to choose",
        )
    if uniform:
        t.put("flow_use_uniform_schedule", "noise.sampling", "uniform")
        t.ignore(["flow_use_beta_schedule"], "the density is uniform")
    elif beta:
        t.put("flow_use_beta_schedule", "noise.sampling", "beta")
        for name in ("alpha", "beta"):
            t.carry(f"flow_beta_schedule_{name}", f"noise.beta.{name}", "float", float)
    else:
        t.carry("flow_sigmoid_scale", "noise.sigmoid_scale", "float", float)
    t.ignore(["flow_use_uniform_schedule", "flow_use_beta_schedule"], "it is off, as it is here")
    t.ignore(["flow_sigmoid_scale"], "the density is not the sigmoid one")
    names = ["flow_beta_schedule_alpha", "flow_beta_schedule_beta"]
    t.ignore(names, "the density is not the beta one")


def _shift(t: Translation) -> None:
    """A fixed shift wins over the automatic one, in SimpleTuner even the one by default."""
    assert t.facts is not None
    shift, auto = t.read("flow_schedule_shift", "float"), t.read("flow_schedule_auto_shift", "bool")
    if shift > 0:
        if t.given("flow_schedule_shift") or shift != t.facts.shift:
            t.put("flow_schedule_shift", "noise.shift", float(shift))
        note = f"a fixed shift of {shift:g} is set, which wins; 0 would make way"
        t.ignore(["flow_schedule_auto_shift"], note if auto else "it is off, as it is here")
    elif auto:
        t.put("flow_schedule_auto_shift", "noise.shift", "auto")
        t.source.mapped("flow_schedule_shift", "noise.shift", "0 makes way for the automatic shift")
    else:
        t.put("flow_schedule_shift", "noise.shift", 1.0, note="0 means no shift")
        t.ignore(["flow_schedule_auto_shift"], "it is off, as it is here")


def loss(t: Translation) -> None:
    kind = t.read("loss_type", "text").strip().lower()
    if t.given("loss_type"):
        t.put("loss_type", "loss.kind", kind)
    if t.draft.get("loss.kind") in (None, "l2"):
        t.ignore(["huber_c", "huber_schedule"], "it has no effect on l2")
    else:
        t.carry("huber_c", "loss.huber.c", "float", float)
        schedule = t.read("huber_schedule", "text")
        legacy = t.is_flow and schedule == "snr"
        if t.given("huber_schedule") or legacy:
            note = _FLOW_SNR if legacy else ""
            t.put("huber_schedule", "loss.huber.schedule", schedule, note=note, approx=legacy)
    if t.given("snr_gamma"):
        gamma = t.read("snr_gamma", "float")
        if gamma:
            t.put("snr_gamma", "loss.snr.gamma", float(gamma))
        t.source.ignored("snr_gamma", "0 turns the weighting off, as it is here")


def ema(t: Translation) -> None:
    if not t.read("use_ema", "bool"):
        t.ignore(["use_ema"], "it is off, as it is here")
        t.ignore(["ema_decay", "ema_update_interval"], "it has no effect without use_ema")
        return
    entry = catalog.OPTIMIZERS.get(t.draft.get("optimizer.name") or "")
    if entry is not None and entry.self_averaging:
        t.refuse("use_ema", "a schedule-free optimiser averages the weights itself")
        t.ignore(["ema_decay", "ema_update_interval"], "it has no effect without use_ema")
        return
    t.put("use_ema", "ema.enabled", True, note="kept in fp32 here")
    t.carry("ema_decay", "ema.decay", "float", float)
    if t.given("ema_update_interval"):
        every = t.read("ema_update_interval", "int")
        note = f"the decay is taken to the power of {every} here, so that its time stays in steps"
        t.put(
            "ema_update_interval",
            "ema.every",
            every,
            note=note if every != 1 else "",
            approx=every != 1,
        )
