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
    content: bytes, placement: Placement, background: str, encoder: str, made: str = ""
) -> bytes:
    """`made` names the generator and its options, of partners that are made from a sample."""
    colour = background.removeprefix("#").lower()
    parts = ("latent/1", content, DECODE_VERSION, _where(placement), colour, encoder)
    return digest(*parts, made) if made else digest(*parts)


def mask_key(content: bytes, placement: Placement, encoder: str, made: str = "") -> bytes:
    return digest("mask/1", content, DECODE_VERSION, _where(placement), encoder, made)


def _where(placement: Placement) -> tuple[object, ...]:
    return (placement.target, placement.resize, placement.left, placement.top)


def text_key(caption: str, encoder: str) -> bytes:
    return digest("text/1", caption, encoder)
