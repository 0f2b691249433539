"""Style distance: what it ignores, what it sees, and that it tells real styles apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from trainer.config.presets import BUILT_IN
from trainer.errors import DataError
from trainer.validate import metrics

PICTURES = BUILT_IN / "demo" / "pictures"
SIZE = (64, 64)


@pytest.fixture(scope="module")
def vae() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL.from_pretrained(BUILT_IN / "demo" / "model", subfolder="vae").eval()


def style(vae: Any, folder: str, keep: set[str] | None = None) -> list[torch.Tensor]:
    paths = sorted((PICTURES / folder).glob("*.png"))
    pictures = [Image.open(p).convert("RGB") for p in paths if keep is None or p.stem in keep]
    return metrics.style_of(vae, pictures, SIZE)


def names(folder: str) -> set[str]:
    return {p.stem for p in (PICTURES / folder).glob("*.png")}


def test_gram_forgets_places_brightness_and_strength() -> None:
    """Shuffled, shifted and scaled features have the same Gram matrix."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 6, 8, 8, generator=generator)
    order = torch.randperm(64, generator=generator)
    shuffled = features.flatten(2)[..., order].view_as(features)
    assert torch.allclose(metrics.gram(features), metrics.gram(3 * shuffled + 5), atol=1e-5)


def test_gram_sees_which_channels_go_together() -> None:
    """Turning one of two equal channels round changes the matrix."""
    channel = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    same, opposite = torch.cat([channel, channel], 1), torch.cat([channel, -channel], 1)
    assert metrics.gram_distance([metrics.gram(same)], [metrics.gram(opposite)]) > 0.5


def test_flat_pictures_have_a_distance() -> None:
    """A picture of one colour has no texture; the number stays finite."""
    one_colour = metrics.gram(torch.full((1, 4, 8, 8), 2.0)).mean(0)
    textured = metrics.gram(torch.randn(1, 4, 8, 8)).mean(0)
    assert metrics.gram_distance([one_colour], [textured]) == pytest.approx(1.0)


def test_a_set_is_no_distance_from_itself(vae: Any) -> None:
    """Chunking and order do not matter."""
    paths = sorted((PICTURES / "sticker-heldout").glob("*.png"))
    pictures = [Image.open(p).convert("RGB") for p in paths]
    forwards = metrics.style_of(vae, pictures, SIZE)
    backwards = metrics.style_of(vae, pictures[::-1], SIZE)
    assert metrics.gram_distance(forwards, backwards) < 1e-5


def test_other_things_in_the_style_are_nearer_than_in_another_style(vae: Any) -> None:
    """Pictures of unseen things tell which style a set has, by a factor of two."""
    target = style(vae, "sticker-heldout")
    others = names("sticker")
    same_style = metrics.gram_distance(style(vae, "sticker", others), target)
    other_style = metrics.gram_distance(style(vae, "noto", others), target)
    assert other_style > 2 * same_style


def test_the_same_things_in_another_style_are_far(vae: Any) -> None:
    """It is the style that counts, not what is shown."""
    target = style(vae, "sticker-heldout")
    same_things = metrics.gram_distance(style(vae, "noto", names("sticker-heldout")), target)
    same_style = metrics.gram_distance(style(vae, "sticker"), target)
    assert same_things > 2 * same_style


def test_sizes_need_not_agree(vae: Any) -> None:
    """References of any size and shape are brought to the size that is measured."""
    paths = sorted((PICTURES / "sticker-heldout").glob("*.png"))[:4]
    pictures = [Image.open(p).convert("RGB") for p in paths]
    large = [p.resize((256, 256), Image.Resampling.NEAREST) for p in pictures]
    distance = metrics.gram_distance(
        metrics.style_of(vae, large, SIZE), metrics.style_of(vae, pictures, SIZE)
    )
    assert distance < 0.1
    wide = [p.resize((200, 90)) for p in pictures]
    assert all(m.isfinite().all() for m in metrics.style_of(vae, wide, SIZE))


def test_references_skip_what_cannot_be_read(tmp_path: Path) -> None:
    """A broken file among the references is left out."""
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"not a picture")
    assert len(metrics.references(tmp_path, "ffffff")) == 1


def test_many_references_are_thinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most MAX_REFERENCES are used, spread over the folder."""
    monkeypatch.setattr(metrics, "MAX_REFERENCES", 4)
    for index in range(9):
        Image.new("RGB", (8, 8), (index, 0, 0)).save(tmp_path / f"{index}.png")
    found = metrics.references(tmp_path, "ffffff")
    assert [p.getpixel((0, 0)) for p in found] == [(0, 0, 0), (3, 0, 0), (6, 0, 0)]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    """The finding names the key and what to do."""
    with pytest.raises(DataError) as caught:
        metrics.references(tmp_path, "ffffff")
    assert caught.value.findings[0].code == "DAT002"
    assert caught.value.findings[0].where == "eval.style_reference"
