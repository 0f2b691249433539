"""The models that draw validation pictures: the trained one, and the expert of its other part.

Two experts share the noise levels at one boundary. The one of the high levels begins from noise
and leaves what is left of it to the other, in the scale of the sampler that both use.
"""

from __future__ import annotations

from trainer import catalog
from trainer.config.schema.model import ComponentsConfig
from trainer.config.schema.root import JobConfig
from trainer.models.base import Family, build_family
from trainer.models.stretch import WHOLE, Stretch


def trained_stretch(config: JobConfig) -> Stretch:
    """What the trained model draws of a picture."""
    part = config.noise.interval
    if config.validation.levels == "all":
        return WHOLE
    follows = config.validation.other_model is not None and part.low > 0.0
    return Stretch(part.low, part.high, ends=not follows)


def other_expert(config: JobConfig, family: Family) -> Family | None:
    """The model of the other noise levels, where one is named; nothing of it is loaded yet."""
    path, part = config.validation.other_model, config.noise.interval
    if path is None:
        return None
    flavours = catalog.family_facts(config.model.family).flavours.items()
    changes = {
        "path": path,
        "flavour": next((name for name, flavour in flavours if flavour.repo == path), None),
        "revision": None,
        "components": ComponentsConfig(),
        "mode": "adapter",
    }
    model = config.model.model_copy(update=changes)
    other = build_family(
        config.model_copy(update={"model": model}), family.device, family.denoiser_dtype
    )
    leads = part.low == 0.0
    other.stretch = Stretch(part.high, 1.0, ends=False) if leads else Stretch(0.0, part.low)
    return other
