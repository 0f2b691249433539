"""The LyCORIS library's own two ways of putting a file on a model.

From the tensors alone (`create_lycoris_from_weights`), or from settings and tensors
(`create_lycoris`, then the state). The first cannot open every file: version 4.1.3 passes one
value too many for IA3, and guesses LoKr's factor from shapes, wrongly for small layers. The
settings that the second needs stand in the header of our files.
"""

from __future__ import annotations

import logging
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


def from_weights(denoiser: nn.Module, tensors: Mapping[str, Tensor]) -> Any:
    """A network around the denoiser, not yet in use; raises when not every layer was opened."""
    with quiet() as library:
        network, _ = library.create_lycoris_from_weights(1.0, "", denoiser, weights_sd=tensors)
    count = len({key.partition(".")[0] for key in tensors})
    assert len(network.loras) == count, f"{len(network.loras)} of {count} layers were opened"
    return network


def from_settings(
    denoiser: nn.Module, tensors: Mapping[str, Tensor], settings: Mapping[str, Any]
) -> Any:
    """The same from settings; in use at once, because only then it takes a state."""
    options = dict(settings)
    preset = options.pop("apply_preset")
    with quiet() as library:
        library.LycorisNetwork.apply_preset(PLAIN | preset)
        network = library.create_lycoris(denoiser, **options)
    network.apply_to()
    network.load_state_dict(dict(tensors), strict=True)
    return network


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
