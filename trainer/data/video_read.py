"""Frames of a film as pixels: exactly those asked for, upright, RGB.

Frames are counted in the order in which they are shown. Decoding starts at the last key frame
before the first one wanted and ends behind the last. A film that cannot be entered there, or that
does not say when its frames are shown, is decoded from its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer.data.bad import BadSample
from trainer.data.container import File, decoded, film, opened
from trainer.data.geometry import Placement
from trainer.data.pixels import cut, demand_believable
from trainer.data.video import shown_size
from trainer.data.video_colour import Canvas, Pixels
from trainer.data.video_times import listed

FEW = 48  # frames that are decoded sooner than the packets of a film are listed


def frames_of(file: File, indices: Sequence[int], background: str) -> Iterator[Pixels]:
    """The frames with these numbers (rising), one at a time: [H, W, 3].

    `background` shows through transparent pixels. BadSample when the film ends before the last
    one, or a frame is damaged.
    """
    assert list(indices) == sorted(set(indices)), "rising frame numbers"
    wanted = set(indices)
    first, place = _entry(file, indices[0]) if indices[0] > FEW else (0, None)
    with opened(file) as container:
        stream = film(container)
        demand_believable(stream.width, stream.height)
        canvas = Canvas(shown_size(stream), background)
        stream.thread_type = "AUTO"
        if place is not None:
            container.seek(place, stream=stream)
        number = first - 1
        for number, frame in enumerate(decoded(container, stream), first):
            if number in wanted:
                if frame.is_corrupt:
                    raise BadSample(f"frame {number} is damaged")
                yield canvas.upright(frame)
            if number >= indices[-1]:
                return
    raise BadSample(f"it ends after {number + 1} frames, before frame {indices[-1]}")


def _entry(file: File, wanted: int) -> tuple[int, int | None]:
    """The last key frame at or before frame `wanted`: its number, and where to seek for it."""
    with opened(file) as container:
        stream = film(container)
        times = listed(container, stream)
        for place in times.key_before(wanted) or ():
            container.seek(place, stream=stream)
            frame = next(decoded(container, stream), None)
            number = times.key_at(frame.pts) if frame else None
            if number is not None and number <= wanted:
                return number, place
    return 0, None


def read_frames(file: File, indices: Sequence[int], background: str) -> Pixels:
    """The frames with these numbers (rising): [F, H, W, 3]. BadSample as `frames_of`."""
    return np.stack(list(frames_of(file, indices, background)))


def crop_frames(frames: Iterable[Pixels], placement: Placement) -> Tensor:
    """Resize and cut each frame [H, W, 3]: float tensor [3, F, H, W] in -1..1."""
    parts = torch.from_numpy(np.stack([cut(Image.fromarray(f), placement) for f in frames]))
    ordered = parts.permute(3, 0, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    return ordered.div_(127.5).sub_(1.0)


def read_clip(file: File, indices: Sequence[int], placement: Placement, background: str) -> Tensor:
    """`crop_frames` of `read_frames` that holds only one whole frame at a time."""
    return crop_frames(frames_of(file, indices, background), placement)


def first_frame(file: File, background: str = "ffffff") -> Image.Image:
    """The first frame, for a preview."""
    return Image.fromarray(next(frames_of(file, [0], background)))
