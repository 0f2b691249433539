"""Jobs that break the rules on control nets, and jobs that do not (see test_rules)."""

from __future__ import annotations

from tests.unit.trainer.config.partner_cases import CANNY, EDITS, SD, jobs, with_

NET = f"{SD}; model.mode = 'controlnet'"
FLUX = f"model.mode = 'controlnet'; {CANNY}"
LOOSE = "{id='c', path='b', role='conditioning'}"
SCALE = "validation.control_scale = 0.5"
LAYERS = "model.controlnet.layers = 2"
PLAIN, ONE_MASK = jobs(with_()), jobs(with_("{generate='random_masks'}"))
LAID = jobs(with_("{dataset='c', match='strict'}"), LOOSE)
UNLIKE = jobs(with_("{dataset='c', match='loose'}"), LOOSE)
TWO = jobs(with_("{generate='canny'}", "{generate='jpeg'}"))

CASES: dict[str, list[tuple[str, str]]] = {
    "CFG300": [(f"model.family = 'pixart'; {FLUX}", f"{NET}; {CANNY}")],
    "CFG301": [
        (f"{NET}; {PLAIN}", f"{NET}; {CANNY}"),
        (f"{NET}; {ONE_MASK}", f"{NET}; {CANNY}"),
    ],
    "CFG302": [
        (f"{NET}; {TWO}", f"{NET}; {CANNY}"),
        (f"{NET}; {TWO}", f"{NET}; {TWO}; data.conditioning_mix = 'random'"),
    ],
    "CFG303": [
        (f"{NET}; {UNLIKE}", f"{NET}; {LAID}"),
    ],
    "CFG304": [
        ("model.controlnet.layers = 2", f"{FLUX}; {LAYERS}"),
        (f"{NET}; {CANNY}; {LAYERS}", f"{FLUX}; {LAYERS}"),
        (f"{FLUX}; {LAYERS}; model.controlnet.path = 'a/b'", f"{FLUX}; {LAYERS}"),
        (SCALE, f"{NET}; {CANNY}; {EDITS}; {SCALE}"),
        (f"{NET}; {CANNY}; {SCALE}", f"{NET}; {CANNY}; {EDITS}; {SCALE}"),
    ],
    "CFG305": [
        (
            f"{NET}; {CANNY}; model.controlnet.path = 'base.safetensors'",
            f"{NET}; {CANNY}; model.controlnet.path = 'a/b'",
        )
    ],
    "CFG307": [(f"{NET}; {CANNY}; validation.prompts = ['x']", f"{NET}; {CANNY}; {EDITS}")],
    "CFG308": [
        (f"{FLUX}; model.options.flux.attention_mask = true", FLUX),
    ],
}
