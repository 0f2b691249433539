"""Stable Diffusion 2.x (families.md §4.1).

Pipeline and calls are those of 1.x. What differs lies in the checkpoint: an OpenCLIP ViT-H whose
last layer was cut off when it was converted, so the usual final state is the one before the last,
and a scheduler configuration that says whether the UNet predicts epsilon or v.
"""

from __future__ import annotations

from dataclasses import replace

from trainer.catalog.facts import FamilyFacts, Prediction
from trainer.catalog.families.sd2x import FACTS
from trainer.models.sd1x import SD1X

BASE_FACTS = replace(FACTS, architecture="stable-diffusion-v2-512", default_resolution=512)


class SD2X(SD1X):
    facts = FACTS

    @property
    def header_facts(self) -> FamilyFacts:
        """The model specification tells the two kinds apart: programs pick the sampler by it."""
        return FACTS if self.prediction is Prediction.V else BASE_FACTS
