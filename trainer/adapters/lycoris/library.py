"""The LyCORIS library's own two ways of putting a file on a model.

From the tensors alone (`create_lycoris_from_weights`), or from settings and tensors
(`create_lycoris`, then the state). The first cannot open every layer: version 4.1.3 passes one
value too many for IA3, and guesses LoKr's factor from shapes, wrongly for small layers; the second
cannot for DyLoRA. The settings that it needs stand in the header of our files.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

PLAIN = {
    "enable_conv": True,
    "target_module": [],
    "target_name": [],
    "module_algo_map": {},
    "name_algo_map": {},
    "exclude_name": [],
    "use_fnmatch": False,
    "lora_prefix": "lycoris",
}


def on(
    denoiser: nn.Module, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]
) -> list[Any]:
    """Networks of a file around the denoiser, in use; from settings those that need them."""
    held: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        held.setdefault(key.partition(".")[0], {})[key] = tensor
    opened, rest = [], dict[str, Tensor]()
    for layer in held.values():
        try:
            opened.append(from_weights(denoiser, layer))
        except Exception:  # any way of not reading it: then the header decides
            rest |= layer
    for network in opened:
        network.apply_to()
    return [*opened, from_settings(denoiser, rest, settings)] if rest else opened


def from_weights(denoiser: nn.Module, tensors: Mapping[str, Tensor]) -> Any:
    """Not yet in use; raises when not every layer was opened."""
    with quiet() as library:
        network, _ = library.create_lycoris_from_weights(1.0, "", denoiser, weights_sd=tensors)
    count = len({key.partition(".")[0] for key in tensors})
    assert len(network.loras) == count, f"{len(network.loras)} of {count} layers were opened"
    return network


def from_settings(
    denoiser: nn.Module, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]
) -> Any:
    """In use at once, because only then it takes a state; only the layers of the tensors."""
    layers = {key.partition(".")[0] for key in tensors}
    names = [n for n, _ in denoiser.named_modules() if f"lycoris_{n}".replace(".", "_") in layers]
    preset = settings["apply_preset"]
    mine = {
        "target_name": [p for p in preset["target_name"] if _any(p, names)],
        "name_algo_map": {p: v for p, v in preset["name_algo_map"].items() if _any(p, names)},
    }
    options = {key: value for key, value in settings.items() if key != "apply_preset"}
    with quiet() as library:
        library.LycorisNetwork.apply_preset(mine)
        network = library.create_lycoris(denoiser, **options)
    network.apply_to()
    network.load_state_dict(dict(tensors), strict=True)
    return network


def _any(pattern: str, names: list[str]) -> bool:
    return any(re.match(pattern, name) for name in names)


@contextmanager
def quiet() -> Iterator[Any]:
    """The library without its lines on stdout, and with its global choices put back afterwards."""
    import lycoris

    logging.getLogger("LyCORIS").setLevel(logging.ERROR)
    network = lycoris.LycorisNetwork
    kept = {name: value for name, value in vars(network).items() if name.isupper()}
    network.apply_preset(PLAIN)
    try:
        yield lycoris
    finally:
        for name, value in kept.items():
            setattr(network, name, value)
