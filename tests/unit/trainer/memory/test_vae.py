"""An autoencoder in slices or tiles: what changes, what does not, and what it spares."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.support.families import KINDS, kind_of, tiny_family
from trainer.config.schema.model import VaeConfig
from trainer.errors import ConfigError
from trainer.memory.vae import spare_memory

WITHOUT_TILES = ("stable_cascade",)  # its encoder knows neither slices nor tiles
TILED = [kind for kind in KINDS if kind_of(kind).encoder is not None and kind not in WITHOUT_TILES]


def with_vae(kind, path, **vae):
    return tiny_family(kind, path, "vae", model={"components": {"vae": vae}})


def small_tiles(vae: Any) -> None:
    """Tiles of 32 pixels, 24 apart, where the class has fixed ones instead of the model's size."""
    if hasattr(vae, "tile_sample_min_height"):
        vae.enable_tiling(32, 32, 24, 24)


def pictures(tiles: int) -> torch.Tensor:
    """Pictures of the tile's size (32 pixels of the tiny models), or some of them along a side."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3, 3, 32 * tiles, 32 * tiles, generator=generator) * 2 - 1


class Sizes:
    """Shapes that the encoder and the decoder see."""

    def __init__(self, vae: nn.Module) -> None:
        self.seen: list[torch.Size] = []
        for part in ("encoder", "decoder"):
            vae.get_submodule(part).register_forward_pre_hook(
                lambda module, args: self.seen.append(args[0].shape)
            )

    def most(self, dim: int) -> int:
        return max(shape[dim] for shape in self.seen)


@pytest.mark.parametrize("kind", TILED)
def test_slices_give_the_same_picture_by_picture(kind, tiny_model):
    """Latents and pictures equal those of whole batches; no batch reaches the autoencoder."""
    whole = with_vae(kind, tiny_model(kind))
    sliced = with_vae(kind, tiny_model(kind), slicing=True)
    sizes = Sizes(sliced.modules["vae"])
    pixels = pictures(1)
    latents = sliced.encode_media(pixels, [1, 2, 3])
    expected = whole.encode_media(pixels, [1, 2, 3])
    torch.testing.assert_close(latents, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(sliced.decode(latents), whole.decode(expected), atol=1e-5, rtol=1e-5)
    assert len(sizes.seen) == 6
    assert sizes.most(0) == 1
    assert sliced.identity("vae") == whole.identity("vae")


@pytest.mark.parametrize("kind", TILED)
def test_tiles_change_large_pictures_only(kind, tiny_model):
    """A picture of one tile is exact; a larger one is near, and is never seen as a whole."""
    whole = with_vae(kind, tiny_model(kind))
    tiled = with_vae(kind, tiny_model(kind), tiling=True)
    assert tiled.modules["vae"].use_tiling
    small_tiles(tiled.modules["vae"])
    assert torch.equal(
        tiled.encode_media(pictures(1), [1, 2, 3]),
        whole.encode_media(pictures(1), [1, 2, 3]),
    )
    sizes, whole_sizes = Sizes(tiled.modules["vae"]), Sizes(whole.modules["vae"])
    pixels = pictures(3)
    found, expected = (f.encode_media(pixels, [1, 2, 3]) for f in (tiled, whole))
    assert found.shape == expected.shape
    assert not torch.equal(found, expected)
    assert (found - expected).norm() < 0.35 * expected.norm()
    assert 3 * sizes.most(-1) == whole_sizes.most(-1)
    sizes.seen.clear()
    whole_sizes.seen.clear()
    tiled.decode(found)
    whole.decode(found)
    assert 3 * sizes.most(-1) == whole_sizes.most(-1)
    assert tiled.identity("vae") != whole.identity("vae")


@pytest.mark.parametrize("name", ["slicing", "tiling"])
@pytest.mark.parametrize("kind", WITHOUT_TILES)
def test_a_family_whose_encoder_cannot_is_told(kind, name, tiny_model):
    """The setting is refused, not left without effect."""
    with pytest.raises(ConfigError) as caught:
        with_vae(kind, tiny_model(kind), **{name: True})
    assert caught.value.finding.code == "ENV011"


@pytest.mark.parametrize("name", ["slicing", "tiling"])
def test_an_autoencoder_that_cannot_is_told(name):
    """Of diffusers' classes some raise, others have no such method."""
    from diffusers.models.autoencoders.vae import AutoencoderMixin

    class Plain(nn.Module, AutoencoderMixin):
        pass

    for module in (Plain(), nn.Linear(1, 1)):
        with pytest.raises(ConfigError) as caught:
            spare_memory(module, VaeConfig(**{name: True}))
        assert caught.value.finding.code == "ENV011"
        assert caught.value.finding.where == f"model.components.vae.{name}"
