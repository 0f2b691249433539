"""Load one component: the class that the family names, with every weight from the checkpoint.

A library that meets a wrong or incomplete file may fill the gaps with random numbers and only log
it. Here the configuration's class is compared first, and a tensor that the checkpoint lacks is an
error that names it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import nn

from trainer.catalog import load_class
from trainer.catalog.facts import FamilyFacts, ImageEncoderFact, Packing, TextEncoderFact
from trainer.errors import ConfigError
from trainer.findings import finding
from trainer.models.parts.adaptable import adaptable
from trainer.models.source import Place, Source, missing

T = TypeVar("T")
TEXT_PREFIXES = ("cond_stage_model.", "conditioner.embedders.")


def attempt(place: str, where: str, action: Callable[[], T]) -> T:
    """Turn whatever a library raises about a bad file into one finding."""
    try:
        return action()
    except (ConfigError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # damaged files surface as anything from OSError to IndexError
        raise missing(place, f"{type(error).__name__}: {error}", where) from error


def tokenizer(source: Source, fact: TextEncoderFact) -> Any:
    import transformers

    folder = source.tokenizer(fact)
    library, _, name = fact.tokenizer_class.rpartition(".")
    if library == "transformers":  # whose releases differ in the names that they have
        cls = getattr(transformers, name, None) or transformers.AutoTokenizer
    else:
        cls = load_class(fact.tokenizer_class)
    return attempt(str(folder), "model.path", lambda: cls.from_pretrained(folder))


def text_encoder(source: Source, fact: TextEncoderFact, dtype: torch.dtype) -> nn.Module:
    assert fact.model_class is not None, "a tokenizer alone has no encoder"
    cls = load_class(fact.model_class)
    carried = carried_text(source)
    if carried and fact.model_class.startswith("transformers.CLIP"):
        return _carried_clip(source, fact, cls, dtype)
    return _transformer(source.text(fact), cls, dtype)


def image_encoder(source: Source, fact: ImageEncoderFact, dtype: torch.dtype) -> nn.Module:
    cls = load_class(fact.model_class)
    return _transformer(source.image_encoder(fact), cls, dtype)


def _transformer(place: Place, cls: Any, dtype: torch.dtype) -> nn.Module:
    """A model of transformers out of its folder."""
    _check_type(place, cls)

    def load() -> Any:
        return cls.from_pretrained(
            place.folder, dtype=dtype, variant=place.variant, output_loading_info=True
        )

    module, info = attempt(str(place.folder), place.where, load)
    return complete(module, info["missing_keys"], place)


def image_processor(source: Source, fact: ImageEncoderFact) -> Any:
    cls = load_class(fact.processor_class)
    folder = source.folder(fact.processor_slot, weights=False)
    return attempt(str(folder), "model.path", lambda: cls.from_pretrained(folder))


def picture_processor(source: Source) -> Any:
    """What prepares pictures for a text encoder that sees them."""
    cls = load_class(source.facts.processor_class)
    folder = source.processor()
    return attempt(str(folder), "model.path", lambda: cls.from_pretrained(folder))


def carried_text(source: Source) -> bool:
    """Whether `model.path` is one file that has text encoders inside, as merges have."""
    if not source.is_file:
        return False
    from safetensors import safe_open

    def look() -> bool:
        with safe_open(source.path, framework="pt") as file:
            return any(key.startswith(TEXT_PREFIXES) for key in file.keys())  # noqa: SIM118

    return attempt(source.path, "model.path", look)


def _carried_clip(source: Source, fact: TextEncoderFact, cls: Any, dtype: torch.dtype) -> nn.Module:
    """A CLIP out of a single file in the original layout, by diffusers' own conversion."""
    from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
    from safetensors import safe_open

    folder = source.folder(fact.slot, weights=False)

    def load() -> Any:
        with safe_open(source.path, framework="pt") as file:
            names = [k for k in file.keys() if k.startswith(TEXT_PREFIXES)]  # noqa: SIM118
            tensors = {name: file.get_tensor(name) for name in names}
        return create_diffusers_clip_model_from_ldm(
            cls, tensors, config=str(folder), torch_dtype=dtype
        )

    module = attempt(source.path, "model.path", load)
    return complete(module, _unfilled(module), Place(folder, (), single_file=True))


def vae(source: Source, dtype: torch.dtype) -> nn.Module:
    assert source.facts.vae_class is not None, "the family works on pixels"
    place = source.component("vae", source.model.components.vae, "vae")
    return component(place, source.facts.vae_class, dtype, source.model.family)


def spatial_factor(source: Source) -> int | None:
    """2 for each level of the autoencoder but the first; None where it is not built in levels."""
    config = vae_config(source)
    if "temperal_downsample" in config:  # one entry for each level that halves the picture
        return 2 ** len(config["temperal_downsample"])
    levels = config.get("block_out_channels") or config.get("encoder_block_out_channels")
    return 2 ** (len(levels) - 1) if levels else None


def latent_channels(source: Source) -> int | None:
    """Channels of the autoencoder's latents; None where its configuration does not say."""
    config = vae_config(source)
    return config.get("latent_channels") or config.get("z_dim")


def vae_config(source: Source) -> dict[str, Any]:
    """Configuration of the autoencoder, without its weights in memory."""
    if source.facts.vae_class is None:
        return {}
    return _read_config(source.component("vae", source.model.components.vae, "vae"))


def denoiser_config(source: Source) -> dict[str, Any]:
    """Configuration of the denoiser, without its weights in memory."""
    slot = source.facts.denoiser_slot
    return _read_config(source.component(slot, source.model.components.denoiser, "denoiser"))


def denoiser(source: Source, dtype: torch.dtype) -> nn.Module:
    own = source.flavour.denoiser_config
    facts = replace(source.facts, denoiser_config={**source.facts.denoiser_config, **own})
    place = source.component(facts.denoiser_slot, source.model.components.denoiser, "denoiser")
    return adaptable(component(place, facts.denoiser_class, dtype, facts.key, facts))


def component(
    place: Place,
    dotted: str,
    dtype: torch.dtype,
    family: str,
    facts: FamilyFacts | None = None,
) -> nn.Module:
    """One component; `dotted` names its class."""
    cls = load_class(dotted)
    _check_class(place, cls.__name__, family, facts)
    if place.single_file:
        file = str(place.weights[0])
        if not _converted(cls):
            return _from_own_names(cls, place, dtype)

        def load_file() -> Any:
            return cls.from_single_file(file, config=str(place.folder), torch_dtype=dtype)

        module = attempt(file, place.where, load_file)
        return complete(module, _unfilled(module), place)

    def load_folder() -> Any:
        return cls.from_pretrained(
            place.folder, torch_dtype=dtype, variant=place.variant, output_loading_info=True
        )

    module, info = attempt(str(place.folder), place.where, load_folder)
    return complete(module, info["missing_keys"], place)


def _converted(cls: Any) -> bool:
    """Whether diffusers reads single files of this class. Some that have `from_single_file` have
    no conversion behind it and refuse."""
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES

    return cls.__name__ in SINGLE_FILE_LOADABLE_CLASSES


def _from_own_names(cls: Any, place: Place, dtype: torch.dtype) -> nn.Module:
    """A file with the module's own names, for classes that diffusers converts nothing for."""
    from safetensors.torch import load_file

    file = str(place.weights[0])

    def load() -> tuple[Any, list[str]]:
        module = cls.from_config(cls.load_config(place.folder))
        absent = module.load_state_dict(load_file(file), strict=False).missing_keys
        return module.to(dtype), absent

    return complete(*attempt(file, place.where, load), place)


def _read_config(place: Place) -> dict[str, Any]:
    path = place.folder / "config.json"
    return attempt(str(path), place.where, lambda: json.loads(path.read_text(encoding="utf-8")))


def _check_class(place: Place, wanted: str, family: str, facts: FamilyFacts | None) -> None:
    """The configuration is of the class, and of the kind of it, that the family trains."""
    config = _read_config(place)
    found = config.get("_class_name", wanted)
    if found not in (wanted, *(facts.denoiser_aliases if facts else ())):
        raise wrong_model(place, f"it holds a {found}", f"{family} needs a {wanted}")
    expected = facts.denoiser_config if facts else {}
    for key in unlike(config, expected):
        raise wrong_model(
            place, f"its {key} is {config.get(key)!r}", f"{family} has {expected[key]!r} there"
        )
    inputs, outputs = config.get("in_channels", 0), config.get("out_channels")
    if outputs is not None and outputs not in (inputs, *_other_outputs(config, facts)):
        raise wrong_model(
            place,
            f"it takes {inputs} channels and gives {outputs}",
            "inpainting, fill and control checkpoints need inputs that this task does not have",
        )


def _other_outputs(config: Mapping[str, Any], facts: FamilyFacts | None) -> Iterator[int]:
    """Output channels that a family has beside as many as inputs: with a variance, or counted
    before they are packed."""
    inputs, patch = config.get("in_channels", 0), config.get("patch_size")
    if facts and facts.learned_variance:
        yield 2 * inputs
    if facts and facts.packing is Packing.TWO_BY_TWO and isinstance(patch, int):
        yield inputs // patch**2


def unlike(config: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Keys in which a configuration differs; files of old versions leave out what is off."""
    return [k for k, value in expected.items() if (config.get(k) or None) != (value or None)]


def _check_type(place: Place, cls: Any) -> None:
    found, wanted = _read_config(place).get("model_type"), cls.config_class.model_type
    if found is not None and found != wanted:
        raise wrong_model(place, f"it holds a {found} model", f"the family needs {wanted}")


def wrong_model(place: Place, what: str, why: str) -> ConfigError:
    return ConfigError(
        finding(
            "ENV002",
            f"{place.folder} is not a model of this family: {what}",
            where=place.where,
            why=why,
            fix="set model.family to what the checkpoint is, or name another checkpoint",
        )
    )


def _unfilled(module: nn.Module) -> list[str]:
    """Parameters that were built but never got a value."""
    return [name for name, p in module.named_parameters() if p.is_meta]


def complete(module: nn.Module, absent: Iterable[str], place: Place) -> nn.Module:
    names = sorted({*absent, *_unfilled(module)})
    if not names:
        return module
    path = place.weights[0] if place.single_file and place.weights else place.folder
    raise ConfigError(
        finding(
            "ENV003",
            f"{path} lacks {len(names)} tensors of {type(module).__name__}, first {names[0]}",
            where=place.where,
            why="training on random numbers in their place would waste the run",
            fix="download the checkpoint again, or name one of the right family",
        )
    )
