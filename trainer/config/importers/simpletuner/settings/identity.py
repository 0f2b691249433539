"""Name, place and seed of the run; model family, weights and components."""

from __future__ import annotations

import json

from trainer import catalog
from trainer.config.importers.simpletuner import names
from trainer.config.importers.simpletuner.translation import Translation

DEFAULT_FLAVOURS = {
    "flux": "krea",
    "flux2": "klein-9b",
    "sana": "sana1.5-4.8b-1024",
    "sd1x": "dreamshaper",
    "sd2x": "pseudoflex-v2",
    "sdxl": "base-1.0",
}
DEFAULT_VAE = "madebyollin/sdxl-vae-fp16-fix"


def family(t: Translation) -> None:
    """The model family: everything else depends on it."""
    given = t.source.value("model_family")
    if not isinstance(given, str) or not given.strip():
        t.source.unsupported("model_family", "it names no family")
        return
    t.family = names.family(given)
    t.draft.set("model.family", t.family)
    if t.family in catalog.FAMILIES:
        t.source.mapped("model_family", "model.family")
        return
    listed = ", ".join(catalog.FAMILIES)
    t.source.unsupported("model_family", f"{t.family} is not trained here; {listed} are")
    t.tell(
        "IMP007",
        f"the model family {t.family} is not trained here",
        about="model_family",
        why="the rest of the job can only be judged with a family",
        fix=f"families: {listed}",
    )


def job(t: Translation) -> None:
    t.carry("output_dir", "job.output_dir", "text", t.places.written)
    t.carry("cache_dir", "cache.root", "text", t.places.written)
    if t.read("tracker_run_name", "text") == "simpletuner-testing":
        t.source.ignored("tracker_run_name", "it is SimpleTuner's own; the job has its file's")
    t.carry("tracker_run_name", "job.name", "text")
    if t.read("seed", "int") in (0, -1):
        note = "a new seed at each start there; one that is noted, 42, here"
        t.source.approximated("seed", "job.seed", note)
    else:
        t.carry("seed", "job.seed", "int")


def model(t: Translation) -> None:
    mode = t.read("model_type", "text").strip().lower()
    if mode in ("lora", "full"):
        t.put("model_type", "model.mode", "adapter" if mode == "lora" else "full")
    else:
        t.refuse("model_type", "only lora and full are trained here")
    _control_net(t, mode)
    _weights(t)
    if t.given("prediction_type"):
        _prediction(t)
    if t.given("rescale_betas_zero_snr"):
        if t.read("rescale_betas_zero_snr", "bool"):
            t.put("rescale_betas_zero_snr", "model.zero_terminal_snr", True)
        t.source.ignored("rescale_betas_zero_snr", "it is off, as it is here")
    if t.given("tokenizer_max_length"):
        if t.facts and "max_tokens" in t.facts.supports:
            t.carry("tokenizer_max_length", "model.max_tokens", "int")
        t.source.ignored("tokenizer_max_length", "the text length of this family is fixed")
    _components(t)
    if t.family == "flux":
        _flux_guidance(t)
    if t.family == "hidream":
        _expert_balance(t)
    if t.given("custom_text_encoder_intermediary_layers"):
        _text_layers(t)


def _control_net(t: Translation, mode: str) -> None:
    """SimpleTuner trains the net as a whole, or as an adapter on a copy of the model."""
    if not t.acts("controlnet"):
        t.source.ignored("controlnet", "it is off, as it is here")
        return
    if t.facts is None or "controlnet" not in t.facts.supports:
        why = "this family has no control nets here"
        t.refuse("controlnet", why)
        t.tell("IMP007", f"controlnet: {why}", about="controlnet")
        return
    note = "" if mode == "full" else "the whole net is trained, SimpleTuner trains an adapter on it"
    t.put("controlnet", "model.mode", "controlnet", note=note, approx=bool(note))
    name = "controlnet_model_name_or_path"
    t.carry(name, "model.controlnet.path", "text", t.places.model)


def _weights(t: Translation) -> None:
    """Path and flavour; where neither is given, the flavour that SimpleTuner would take."""
    path = t.read("pretrained_model_name_or_path", "text")
    if path is not None:
        if path.endswith(".gguf"):
            t.refuse("pretrained_model_name_or_path", "quantised files are not trained on here")
            t.tell("IMP007", f"{path} is a quantised file", about="pretrained_model_name_or_path")
        else:
            t.put("pretrained_model_name_or_path", "model.path", t.places.model(path))
    path = t.draft.get("model.path")
    if t.given("revision"):
        if path is not None and t.places.found(path).exists():
            t.source.ignored("revision", "the weights are a local folder")
        else:
            t.carry("revision", "model.revision", "text")
    if t.facts is None:
        t.source.unsupported("model_flavour", "a flavour of a family that is not trained here")
        return
    flavour = t.read("model_flavour", "text")
    if flavour is None and path is None:
        flavour = DEFAULT_FLAVOURS.get(t.family, t.facts.default_flavour)
    if flavour is None:
        return
    if flavour in t.facts.flavours:
        t.put("model_flavour", "model.flavour", flavour)
        return
    t.refuse("model_flavour", f"known are {', '.join(t.facts.flavours)}")
    if path is None:
        t.tell(
            "IMP007",
            f"{t.facts.display_name} has no flavour {flavour!r} here",
            about="model_flavour",
            why="its weights are not known",
            fix="set model.path to them",
        )


def _prediction(t: Translation) -> None:
    kind = t.read("prediction_type", "text")
    if t.is_flow:
        t.source.ignored("prediction_type", "a flow model predicts velocity")
    elif t.facts is not None and t.facts.continuous_time:
        t.source.ignored("prediction_type", "this family predicts noise")
    elif kind in ("epsilon", "v_prediction"):
        t.put("prediction_type", "model.prediction_type", kind)
    else:
        t.refuse("prediction_type", "epsilon and v_prediction are trained here")
        t.tell("IMP007", f"prediction type {kind!r} is not trained here", about="prediction_type")


def _components(t: Translation) -> None:
    slot = t.facts.denoiser_slot if t.facts else "transformer"
    for name in ("transformer", "unet"):
        path, folder = f"pretrained_{name}_model_name_or_path", f"pretrained_{name}_subfolder"
        t.carry(path, "model.components.denoiser.path", "text", t.places.model)
        if t.read(folder, "text") == slot:
            t.source.ignored(folder, "it is the usual one")
        else:
            t.carry(folder, "model.components.denoiser.subfolder", "text")
    vae = t.read("pretrained_vae_model_name_or_path", "text")
    if vae and "sdxl" in vae and t.family != "sdxl":
        note = "SimpleTuner discards an SDXL autoencoder for other families"
        t.source.ignored("pretrained_vae_model_name_or_path", note)
    elif vae or t.family == "sdxl":
        name = "pretrained_vae_model_name_or_path"
        t.put(name, "model.components.vae.path", t.places.model(vae or DEFAULT_VAE))
    if t.read("vae_dtype", "text") == "default":
        t.source.ignored("vae_dtype", "the family's choice, there as here")
    else:
        t.carry("vae_dtype", "model.components.vae.dtype", "text")


def _text_layers(t: Translation) -> None:
    name = "custom_text_encoder_intermediary_layers"
    given = t.source.value(name)
    try:
        layers = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        layers = given
    t.put(name, "model.options.flux2.text_layers", layers)


def _expert_balance(t: Translation) -> None:
    if not t.read("hidream_use_load_balancing_loss", "bool"):
        t.source.ignored("hidream_use_load_balancing_loss", "it is off, as it is here")
        return
    path, name = "model.options.hidream.balance_weight", "hidream_load_balancing_loss_weight"
    note = "SimpleTuner only adds it to the number that it shows; here it is trained"
    t.put(name, path, t.read(name, "float"), note=note, approx=True)
    t.source.approximated("hidream_use_load_balancing_loss", path, note)


def _flux_guidance(t: Translation) -> None:
    path = "model.options.flux.guidance"
    if t.read("flux_guidance_mode", "text") == "random-range":
        low, high = t.read("flux_guidance_min", "float"), t.read("flux_guidance_max", "float")
        note = f"the middle of {low:g} to {high:g}, from which SimpleTuner draws at each step"
        if t.put("flux_guidance_mode", path, (low + high) / 2.0, note=note, approx=True):
            t.source.approximated("flux_guidance_min", path, note)
            t.source.approximated("flux_guidance_max", path, note)
        t.ignore(["flux_guidance_value"], "flux_guidance_mode is random-range")
    else:
        t.carry("flux_guidance_value", path, "float", float)
    t.source.mapped("flux_guidance_mode", path)
    range_names = ["flux_guidance_min", "flux_guidance_max"]
    t.ignore(range_names, "flux_guidance_mode is constant")
