"""Jobs that break the rules on partners, priors, sliders and masks, for `test_rules`."""

from __future__ import annotations

SD, FULL = "model.family = 'sd1x'", "model.mode = 'full'"
A, MASK = "{id='a', path='a'}", "{id='m', path='b', role='mask'}"


def jobs(*datasets: str) -> str:
    return f"data.datasets = [{', '.join(datasets)}]"


def with_(*partners: str, more: str = "") -> str:
    """The dataset `a` with entries of conditioning."""
    return f"{{id='a', path='a', conditioning=[{', '.join(partners)}]{more}}}"


def made(name: str, **options: str) -> str:
    inside = ", ".join(f"{key}={value}" for key, value in options.items())
    return f"{{generate='{name}', options={{{inside}}}}}"


SLIDER = jobs("{id='a', path='a', slider=1.0}")
MOVED = jobs("{id='a', path='a', timestep_offset=0.5}")
PRIOR = jobs(A, "{id='p', path='b', role='prior'}")
OF_M = "{dataset='m'}"
MASKED = jobs(with_(OF_M), MASK)
RANDOM = "{generate='random_masks'}"

CANNY = jobs(with_("{generate='canny'}"))
CONTROLLED = jobs(with_("{dataset='c'}"), "{id='c', path='b', role='conditioning'}")
EDITS = "validation.inputs = [{path='x.png', prompt='brighter'}]"
QWEN = "model.family = 'qwen_image'"
V1, V2 = (f"{QWEN}; model.flavour = 'edit-v{n}'" for n in (1, 2))
I2I = "model.family = 'kandinsky5_image'; model.flavour = 'i2i-lite-sft'"
BEFORE = "{id='c', path='b', role='conditioning'}"
OTHER = "{id='d', path='d', role='conditioning'}"
OF_C, OF_D = "{dataset='c'}", "{dataset='d'}"
EDITED = jobs(with_(OF_C), BEFORE)
TWICE = jobs(with_(OF_C, OF_D), BEFORE, OTHER)
LOOSE = jobs(with_("{dataset='c', match='loose'}"), BEFORE)
HELD_OUT, IDLE = "{id='e', path='e', role='eval'}", "{id='e', path='e', enabled=false}"
RANDOM_MIX = "data.conditioning_mix = 'random'"

CASES: dict[str, list[tuple[str, str]]] = {
    "CFG110": [
        (jobs(with_("{match='strict'}")), jobs(with_(RANDOM))),
        (jobs(with_("{dataset='m', generate='random_masks'}"), MASK), MASKED),
    ],
    "CFG111": [(jobs(with_("{dataset='n'}"), MASK), MASKED)],
    "CFG112": [
        (jobs(with_("{dataset='b'}"), "{id='b', path='b'}"), MASKED),
        (jobs(with_("{dataset='a'}")), MASKED),
        (jobs(with_(OF_M), "{id='m', path='b', role='mask', enabled=false}"), MASKED),
    ],
    "CFG113": [
        (jobs(A, MASK), MASKED),
        (jobs(A, "{id='c', path='b', role='conditioning'}"), jobs(A)),
    ],
    "CFG114": [
        (
            jobs(with_(made("random_masks", feathr="2.0"))),
            jobs(with_(made("random_masks", feather="2.0"))),
        ),
        (
            jobs(with_("{dataset='m', options={segments=true}}"), MASK),
            jobs(with_("{dataset='m', options={segmentation=true, invert=true}}"), MASK),
        ),
    ],
    "CFG115": [
        (
            jobs(with_(made("random_masks", min_coverage="1.5"))),
            jobs(with_(made("random_masks", min_coverage="0.3"))),
        ),
        (
            jobs(with_(made("random_masks", min_coverage="0.6"))),
            jobs(with_(made("random_masks", min_coverage="0.6", max_coverage="0.6"))),
        ),
        (
            jobs(with_(made("random_masks", mask_types="['square']"))),
            jobs(with_(made("random_masks", mask_types="['circle']"))),
        ),
        (
            jobs(with_(made("jpeg", quality_mode="'range'", quality_range="[10]"))),
            jobs(with_(made("jpeg", quality_mode="'range'", quality_range="[10, 20]"))),
        ),
        (jobs(with_(made("jpeg", quality="true"))), jobs(with_(made("jpeg", quality="20")))),
    ],
    "CFG116": [(jobs(with_(made("depth"))), jobs(with_(made("depth", model="'owner/name'"))))],
    "CFG117": [
        (
            jobs(with_("{generate='first_frame'}")),
            jobs(with_("{generate='first_frame'}", more=", kind='video'")),
        )
    ],
    "CFG118": [
        (f"{SD}; {CANNY}", f"{SD}; {jobs(with_(RANDOM))}"),
        (f"{SD}; {CANNY}", CANNY),
        (f"{SD}; {CONTROLLED}", CONTROLLED),
        (f"{QWEN}; {EDITED}", f"{V1}; {EDITED}"),
    ],
    "CFG190": [
        (f"{SD}; {EDITS}", EDITS),
        (f"{QWEN}; {EDITS}", f"{V1}; {EDITED}; {EDITS}"),
    ],
    "CFG191": [
        (V1, f"{V1}; {EDITED}"),
        (f"{V1}; {jobs(with_(RANDOM))}", QWEN),
        (
            f"{V1}; {jobs(with_(OF_C), BEFORE, HELD_OUT)}",
            f"{V1}; {jobs(with_(OF_C), BEFORE, IDLE)}",
        ),
    ],
    "CFG192": [
        (
            f"{V1}; {EDITED}; validation.prompts = ['a cat']",
            f"{V1}; {EDITED}; {EDITS}",
        ),
        (
            f"{V1}; {EDITED}; validation.prompts = ['a cat']",
            f"{V1}; {EDITED}; validation.prompts = ['a cat']; validation.enabled = false",
        ),
    ],
    "CFG193": [
        (f"{V1}; {TWICE}", f"{V2}; {TWICE}"),
        (f"{V1}; {TWICE}", f"{V1}; {jobs(with_(OF_C, RANDOM), BEFORE)}"),
    ],
    "CFG194": [
        (f"{V2}; {TWICE}; {RANDOM_MIX}", f"{V2}; {TWICE}"),
        (f"{V2}; {TWICE}; {RANDOM_MIX}", f"{TWICE}; {RANDOM_MIX}"),
    ],
    "CFG195": [
        (
            f"{I2I}; {LOOSE}",
            f"{I2I}; {EDITED}",
        ),
        (
            f"{I2I}; {LOOSE}",
            f"{V1}; {LOOSE}",
        ),
    ],
    "CFG119": [
        (
            jobs(with_(made("jpeg", quality_list="[10, 20]"))),
            jobs(with_(made("jpeg", quality_list="[10, 20]", quality_mode="'list'"))),
        ),
        (
            jobs(with_("{dataset='m', match='loose'}"), MASK),
            jobs(with_("{dataset='m', match='strict'}"), MASK),
        ),
    ],
    "CFG120": [
        (
            jobs(A, "{id='e', path='b', role='eval', conditioning=[{generate='random_masks'}]}"),
            jobs(with_(RANDOM), "{id='e', path='b', role='eval'}"),
        ),
        (
            jobs(with_(OF_M), "{id='m', path='b', role='mask', conditioning=[{dataset='m'}]}"),
            MASKED,
        ),
    ],
    "CFG121": [(f"{FULL}; {SLIDER}", SLIDER)],
    "CFG122": [(f"{FULL}; {PRIOR}", PRIOR)],
    "CFG123": [
        (
            jobs("{id='a', path='a', slider=0.0}"),
            jobs("{id='a', path='a', slider=0.1}"),
        )
    ],
    "CFG125": [
        (f"{SD}; {MOVED}", MOVED),
        (f"noise.sampling = 'uniform'; {MOVED}", "noise.sampling = 'uniform'"),
    ],
    "CFG127": [
        ("loss.mask.normalise = true", f"loss.mask.normalise = true; {MASKED}"),
        (
            "loss.mask.probability = 0.5; "
            + jobs(A, "{id='e', path='b', role='eval', conditioning=[{generate='random_masks'}]}"),
            f"loss.mask.probability = 0.5; {jobs(with_(RANDOM))}",
        ),
    ],
    "CFG128": [
        (f"loss.mask.probability = 0.0; {MASKED}", f"loss.mask.probability = 0.1; {MASKED}")
    ],
}
