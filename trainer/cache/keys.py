"""Content addresses: a cached tensor is used only if everything that shaped it is the same.

A key covers the bytes of the source, what was done to them, and the encoder with its weights,
precision and version. Training options (rate, batch, rank, seed of the run) are no part of it,
and neither are names and places of files: a moved folder is encoded already.
"""

from __future__ import annotations

from hashlib import blake2b

from trainer.data.geometry import Placement

KEY_BYTES = 16
DECODE_VERSION = 2  # raise it when the same file and placement give other pixels


def digest(*parts: object) -> bytes:
    """Digest of the parts; their `repr` keeps ("a", "b") and ("ab", "") apart."""
    return blake2b(repr(parts).encode(), digest_size=KEY_BYTES).digest()


def latent_key(
    content: bytes,
    placement: Placement,
    background: str,
    encoder: str,
    extra: tuple[object, ...] = (),
) -> bytes:
    """`extra` holds what shapes only some samples: a generator, the frames of a clip."""
    parts = ("latent/1", content, DECODE_VERSION, _where(placement), _colour(background), encoder)
    return digest(*parts, *extra)


def mask_key(
    content: bytes, placement: Placement, encoder: str, extra: tuple[object, ...] = ()
) -> bytes:
    return digest("mask/1", content, DECODE_VERSION, _where(placement), encoder, *extra)


def _where(placement: Placement) -> tuple[object, ...]:
    return (placement.target, placement.resize, placement.left, placement.top)


def text_key(caption: str, encoder: str, *, negative: bool = False) -> bytes:
    """`negative` where guidance steers away from it and the family words that in another way."""
    return digest("text/1", caption, encoder, *(("negative",) if negative else ()))


# --- the same parts in words, for `stune cache why`: what is in a key has a name here -------------


def latent_parts(
    content: bytes, placement: Placement, background: str, extra: tuple[object, ...] = ()
) -> dict[str, str]:
    """Everything that `latent_key` covers, besides the encoder."""
    return dict(map(_named, extra)) | {
        "content": content.hex(),
        "resolution": _size(placement.target),
        "scaling": _size(placement.resize),
        "crop": f"{placement.left},{placement.top}",
        "background": _colour(background),
        "decoder version": str(DECODE_VERSION),
    }


def _named(part: object) -> tuple[str, str]:
    name, value = part if isinstance(part, tuple) else ("part", part)
    return str(name), str(value)


def text_parts(caption: str) -> dict[str, str]:
    return {"caption": caption}


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _colour(background: str) -> str:
    return background.removeprefix("#").lower()
