"""An autoencoder in slices or tiles: what changes, what does not, and what it spares."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.support.families import LEVERS, kind_of, tiny_family
from trainer.config.schema.model import VaeConfig
from trainer.errors import ConfigError
from trainer.memory.vae import spare_memory


def with_vae(kind, path, **vae):
    return tiny_family(kind, path, "vae", model={"components": {"vae": vae}})


def pictures(kind: str, tiles: int) -> torch.Tensor:
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


@pytest.mark.parametrize("kind", LEVERS)
def test_slices_give_the_same_picture_by_picture(kind, tiny_model):
    """Latents and pictures equal those of whole batches; no batch reaches the autoencoder."""
    whole = with_vae(kind, tiny_model(kind))
    sliced = with_vae(kind, tiny_model(kind), slicing=True)
    sizes = Sizes(sliced.modules["vae"])
    pixels = pictures(kind, 1)
    latents = sliced.encode_media(pixels, [1, 2, 3])
    expected = whole.encode_media(pixels, [1, 2, 3])
    torch.testing.assert_close(latents, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(sliced.decode(latents), whole.decode(expected), atol=1e-5, rtol=1e-5)
    assert len(sizes.seen) == 6
    assert sizes.most(0) == 1
    assert sliced.identity("vae") == whole.identity("vae")


@pytest.mark.parametrize("kind", LEVERS)
def test_tiles_change_large_pictures_only(kind, tiny_model):
    """A picture of one tile is exact; a larger one is near, and is never seen as a whole."""
    whole = with_vae(kind, tiny_model(kind))
    tiled = with_vae(kind, tiny_model(kind), tiling=True)
    assert torch.equal(
        tiled.encode_media(pictures(kind, 1), [1, 2, 3]),
        whole.encode_media(pictures(kind, 1), [1, 2, 3]),
    )
    sizes = Sizes(tiled.modules["vae"])
    pixels = pictures(kind, 3)
    found, expected = (f.encode_media(pixels, [1, 2, 3]) for f in (tiled, whole))
    assert found.shape == expected.shape
    assert not torch.equal(found, expected)
    assert (found - expected).norm() < 0.35 * expected.norm()
    assert sizes.most(-1) == 32
    sizes.seen.clear()
    tiled.decode(found)
    assert sizes.most(-1) == 32 // kind_of(kind).factor
    assert tiled.identity("vae") != whole.identity("vae")


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
