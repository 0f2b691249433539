"""The autoencoder on less memory: pictures in tiles, batches picture by picture.

Slicing changes nothing but time. Tiles overlap and are blended, so pictures larger than a tile
come out slightly different at the seams; smaller ones are coded whole.
"""

from __future__ import annotations

from typing import Any

from trainer.config.schema.model import VaeConfig
from trainer.errors import ConfigError
from trainer.findings import finding


def spare_memory(vae: Any, config: VaeConfig) -> None:
    """Turn on what is asked for; an autoencoder that cannot do it is a finding."""
    for name, wanted in (("slicing", config.slicing), ("tiling", config.tiling)):
        if not wanted:
            continue
        try:
            getattr(vae, f"enable_{name}")()
        except (AttributeError, NotImplementedError) as error:
            raise ConfigError(
                finding(
                    "ENV011",
                    f"{type(vae).__name__} has no {name}",
                    where=f"model.components.vae.{name}",
                    why="it always codes whole batches of whole pictures",
                    fix=f"remove model.components.vae.{name}; cache.batch_size = 1 spares most",
                )
            ) from error
