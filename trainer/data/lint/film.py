"""The one figure of a film that its header does not tell: whether its frame rate varies."""

from __future__ import annotations

from typing import BinaryIO

from trainer.data.bad import BadSample
from trainer.data.lint.measure import Measures


def measure_film(file: BinaryIO) -> Measures | None:
    """By the times of its frames, without decoding any; None when the place refuses it."""
    from trainer.data.video_times import frame_rate_varies

    try:
        return Measures(format="film", uneven=frame_rate_varies(file))
    except BadSample as error:
        return Measures(reason=str(error)) if error.lasting else None
