"""From an item to the tensor that is encoded, whatever its kind."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer.data.bad import BadSample
from trainer.data.conditioning.generate import Generate, open_generator, partner_seed
from trainer.data.item import Item, read_checked
from trainer.data.pixels import crop, read_picture


class MediaReader:
    """Reads items; the generators of made partners stay open as long as it lives."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._open: dict[str, Generate] = {}
        self._lock = threading.Lock()

    def read(self, item: Item) -> Tensor:
        """[3, H, W] or [3, F, H, W] in -1..1, or sound [C, N]; BadSample when it cannot be."""
        match item.kind:
            case "image":
                picture = whole_picture(item)
                if item.made is not None:
                    picture = self._made(item, cut(picture, item))
                    return to_tensor(picture)
                return crop(picture, item.placement)
            case "video":
                return self._video(item)
            case "audio":
                from trainer.data.audio import read_audio

                assert item.span is not None, "a recording has a part that is taken"
                with opened(item) as file:
                    return read_audio(file, item.audio, *item.span)
            case "caption":
                raise AssertionError("texts alone have no latents")

    def _video(self, item: Item) -> Tensor:
        from trainer.data.video_read import read_clip

        if item.made is None:
            with opened(item) as file:
                return read_clip(file, item.clip, item.placement, item.background)
        with opened(item) as file:
            clip = read_clip(file, item.clip, item.placement, item.background)
        frames = [to_picture(clip[:, n]) for n in range(clip.shape[1])]
        if item.made.generator == "first_frame":
            frames = frames[:1]
        return torch.stack([to_tensor(self._made(item, frame)) for frame in frames], dim=1)

    def _made(self, item: Item, picture: Image.Image) -> Image.Image:
        assert item.made is not None, "only made partners are made"
        seed = partner_seed(item.made.seed, item.content, item.made.generator)
        return self.generator(item)(picture, seed)

    def generator(self, item: Item) -> Generate:
        """The generator of a made partner; opened once."""
        made = item.made
        assert made is not None, "only made partners have a generator"
        with self._lock:
            if made.identity not in self._open:
                opened_now = open_generator(made.generator, made.options, self._device)
                self._open[made.identity] = opened_now
            return self._open[made.identity]


def whole_picture(item: Item) -> Image.Image:
    """The picture of an item, upright RGB."""
    picture = read_picture(io.BytesIO(read_checked(item)), item.background)
    if picture.size != (item.width, item.height):
        raise BadSample("it was replaced by one of another size", lasting=False)
    return picture


def cut(picture: Image.Image, item: Item) -> Image.Image:
    """The part of a picture that is trained on, still a picture."""
    placement = item.placement
    if picture.size != placement.resize:
        picture = picture.resize(placement.resize, Image.Resampling.LANCZOS)
    return picture.crop(placement.box)


def to_tensor(picture: Image.Image) -> Tensor:
    """[3, H, W] in -1..1."""
    pixels = np.array(picture.convert("RGB"), dtype=np.float32)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().div_(127.5).sub_(1.0)


def to_picture(pixels: Tensor) -> Image.Image:
    """Inverse of `to_tensor`."""
    levels = pixels.add(1.0).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())


@contextmanager
def opened(item: Item) -> Iterator[BinaryIO]:
    """The bytes of a film or recording, which are not read as a whole."""
    try:
        file = item.open()
    except OSError as error:
        raise BadSample(error.strerror or str(error), lasting=False) from error
    with file:
        yield file
