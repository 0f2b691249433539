"""Every cross-field rule has a job that breaks it and a job that does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.trainer.config import partner_cases
from trainer.config import rules
from trainer.config.resolve import resolve
from trainer.findings import CODES, Finding

SD, XL, FLUX = "model.family = 'sd1x'", "model.family = 'sdxl'", "model.family = 'flux'"
FULL = "model.mode = 'full'"
SCHEDULEFREE, PRODIGY = "optimizer.name = 'schedulefree'", "optimizer.name = 'prodigy'"
PROMPT = "validation.prompts = ['a cat']"
V = "model.prediction_type = 'v_prediction'"
BASE = {
    "model.family": "'flux'",
    "train.steps": "100",
    "data.datasets": "[{id = 'a', path = 'a'}]",
}
FEW = "{id='a', path='a', max_samples=3"
MASKED = "{id = 'a', path = 'a', conditioning = [{dataset = 'm'}]}"
MASKS = "{id = 'm', path = 'b', role = 'mask'}"
EVAL = "{id = 'e', path = 'b', role = 'eval'"

# code -> (lines that break the rule, lines that do not)
CASES: dict[str, list[tuple[str, str]]] = {
    "CFG011": [("model.family = 'fluxx'", FLUX)],
    "CFG012": [("model.flavour = 'devv'", "model.flavour = 'dev'")],
    "CFG013": [(V, f"{SD}; {V}")],
    "CFG014": [("model.zero_terminal_snr = true", f"{SD}; {V}; model.zero_terminal_snr = true")],
    "CFG015": [
        (f"{SD}; model.zero_terminal_snr = true", f"{SD}; {V}; model.zero_terminal_snr = true")
    ],
    "CFG016": [(f"{SD}; model.options.flux.guidance = 2.0", "model.options.flux.guidance = 2.0")],
    "CFG017": [(f"{XL}; model.max_tokens = 77", "model.max_tokens = 77")],
    "CFG018": [("model.max_tokens = 513", "model.max_tokens = 512")],
    "CFG019": [
        (
            "optimizer.name = 'adamw_bf16'; compute.precision.dtype = 'fp32'",
            "optimizer.name = 'adamw_bf16'",
        )
    ],
    "CFG020": [
        (
            f"{XL}; model.components.vae.dtype = 'fp16'",
            f"{SD}; model.components.vae.dtype = 'fp16'",
        )
    ],
    "CFG021": [
        (
            f"{FULL}; compute.checkpointing.enabled = false",
            f"{FULL}; compute.checkpointing.enabled = false; model.path = 'a'",
        )
    ],
    "CFG022": [
        ("model.path = './nowhere'", "model.path = 'owner/name'"),
        ("model.path = 'base.ckpt'", "model.path = 'base.safetensors'"),
        ("model.components.vae.path = '/nowhere'", "model.components.vae.path = 'a'"),
    ],
    "CFG023": [
        ("model.path = 'a'; model.revision = 'main'", "model.revision = 'main'"),
    ],
    "CFG024": [
        ("data.defaults.resolution = '64px2'", "model.path = 'a'; data.defaults.resolution = 64"),
        (f"{SD}; data.defaults.resolution = '2048px2'", "data.defaults.resolution = '2048px2'"),
    ],
    "CFG030": [(f"{FULL}; adapter.rank = 4", FULL)],
    "CFG031": [("adapter.preset = 'al'", "adapter.preset = 'all+ffs'")],
    "CFG032": [
        ("adapter.preset = 'all'; adapter.targets = ['to_q']", "adapter.targets = ['to_q']")
    ],
    "CFG033": [("adapter.rank = 4; adapter.alpha = 40", "adapter.rank = 4; adapter.alpha = 32")],
    "CFG034": [("adapter.rank = 512", "adapter.rank = 256")],
    "CFG035": [("adapter.formats = ['comfyui', 'comfyui']", "adapter.formats = ['comfyui']")],
    "CFG036": [
        ("adapter.init_from = 'x.safetensors'", "adapter.init_from = 'base.safetensors'"),
    ],
    "CFG037": [
        (
            "adapter.init_from = 'base.safetensors'; adapter.init = 'gaussian'",
            "adapter.init = 'gaussian'",
        )
    ],
    "CFG038": [("adapter.dropout = 0.6", "adapter.dropout = 0.5")],
    "CFG040": [("-train.steps", "train.steps = 1")],
    "CFG041": [("train.epochs = 2", "-train.steps; train.epochs = 2")],
    "CFG042": [("schedule.warmup = 100", "schedule.warmup = 20")],
    "CFG043": [
        (
            "schedule.name = 'cosine'; schedule.end_lr = 2e-4",
            "schedule.name = 'cosine'; schedule.end_lr = 1e-5",
        )
    ],
    "CFG044": [
        ("schedule.power = 2.0", "schedule.name = 'polynomial'; schedule.power = 2.0"),
        ("schedule.cycles = 2", "schedule.name = 'sine'; schedule.cycles = 2"),
        ("schedule.end_lr = 1e-6", "schedule.name = 'linear'; schedule.end_lr = 1e-6"),
    ],
    "CFG045": [(f"{SCHEDULEFREE}; ema.enabled = true", "ema.enabled = true; ema.decay = 0.9")],
    "CFG046": [("ema.decay = 0.9", "ema.enabled = true; ema.decay = 0.9")],
    "CFG047": [
        ("ema.enabled = true; ema.decay = 0.999", "ema.enabled = true; ema.decay = 0.95"),
    ],
    "CFG048": [("checkpoint.every_steps = 200", "checkpoint.every_steps = 50")],
    "CFG049": [("debug.log_every = 200", "debug.log_every = 10")],
    "CFG050": [
        ("schedule.warmup = 60", "schedule.warmup = 40"),
        ("schedule.warmup = '60%'", "schedule.warmup = '5%'"),
    ],
    "CFG051": [
        (
            "schedule.name = 'sine'; schedule.cycles = 101",
            "schedule.name = 'sine'; schedule.cycles = 4",
        )
    ],
    "CFG052": [
        (
            "ema.enabled = true; ema.decay = 0.9; ema.every = 101",
            "ema.enabled = true; ema.decay = 0.9; ema.every = 5",
        )
    ],
    "CFG053": [
        (f"{PROMPT}; validation.every_steps = 200", f"{PROMPT}; validation.every_steps = 20"),
        (
            f"eval.every_steps = 200; data.datasets = [{{id='a', path='a'}}, {EVAL}}}]",
            f"eval.every_steps = 20; data.datasets = [{{id='a', path='a'}}, {EVAL}}}]",
        ),
    ],
    "CFG060": [("optimizer.name = 'adamww'", "optimizer.name = 'adamw'")],
    "CFG061": [("optimizer.args.d_coef = 1.0", f"{PRODIGY}; optimizer.args.d_coef = 1.0")],
    "CFG062": [(f"{PRODIGY}; optimizer.lr = 1e-4", f"{PRODIGY}; optimizer.lr = 1.0")],
    "CFG063": [("optimizer.lr = 0.1", "optimizer.lr = 0.01")],
    "CFG064": [
        (f"{SCHEDULEFREE}; schedule.name = 'cosine'", f"{SCHEDULEFREE}"),
    ],
    "CFG065": [("optimizer.args.betas = [0.9, 1.0]", "optimizer.args.betas = [0.0, 0.99]")],
    "CFG066": [("optimizer.clip = 0.001", "optimizer.clip = false")],
    "CFG067": [
        (
            f"{PRODIGY}; schedule.warmup = 5; optimizer.args.safeguard_warmup = false",
            f"{PRODIGY}; schedule.warmup = 5",
        )
    ],
    "CFG068": [
        (
            f"{SCHEDULEFREE}; optimizer.args.warmup_steps = 5; schedule.warmup = 5",
            f"{SCHEDULEFREE}; optimizer.args.warmup_steps = 5",
        )
    ],
    "CFG070": [(f"{SD}; noise.shift = 2.0", "noise.shift = 2.0")],
    "CFG071": [("loss.snr.gamma = 5.0", f"{XL}; loss.snr.gamma = 5.0")],
    "CFG072": [
        ("noise.beta.alpha = 3.0", "noise.sampling = 'beta'; noise.beta.alpha = 3.0"),
        ("noise.sampling = 'uniform'; noise.sigmoid_scale = 2.0", "noise.sigmoid_scale = 2.0"),
    ],
    "CFG073": [("noise.shift = 0.0", "noise.shift = 'auto'")],
    "CFG074": [("loss.huber.c = 0.2", "loss.kind = 'smooth_l1'; loss.huber.c = 0.2")],
    "CFG075": [("noise.shift = 30.0", "noise.shift = 6.0")],
    "CFG076": [
        (
            "noise.sampling = 'beta'; noise.beta.alpha = 0.1",
            "noise.sampling = 'beta'; noise.beta.alpha = 0.5",
        )
    ],
    "CFG080": [
        ("-data.datasets", "train.steps = 1"),
        (f"data.datasets = [{EVAL}}}]", f"data.datasets = [{{id='a', path='a'}}, {EVAL}}}]"),
    ],
    "CFG081": [
        (
            "data.datasets = [{id='a', path='a'}, {id='a', path='b'}]",
            "data.datasets = [{id='a', path='a'}, {id='b', path='b'}]",
        )
    ],
    "CFG082": [
        (
            "data.defaults.caption.source = 'instanceprompt'",
            "data.defaults.caption = {source = 'instanceprompt', prompt = 'x'}",
        ),
        (
            "data.datasets = [{id='a', path='a', caption={source='instanceprompt'}}]",
            "data.datasets = [{id='a', path='a', caption={source='filename'}}]",
        ),
    ],
    "CFG083": [
        (
            "data.defaults.caption.prepend = true",
            "data.defaults.caption = {prepend=true, prompt='x'}",
        )
    ],
    "CFG084": [
        ("data.defaults.caption.prompt = 'x'", "data.defaults.caption = {prepend=true, prompt='x'}")
    ],
    "CFG085": [("data.defaults.caption.dropout = 0.6", "data.defaults.caption.dropout = 0.1")],
    "CFG086": [
        ("data.defaults.resolution = '24px2'", "data.defaults.resolution = '64px2'"),
    ],
    "CFG087": [
        ("data.defaults.resolution = '1000px2'", "data.defaults.resolution = '1008px2'"),
        (f"{XL}; data.defaults.resolution = '1008px2'", "data.defaults.resolution = '1008px2'"),
    ],
    "CFG088": [
        (
            f"train.batch_size = 4; data.datasets = [{FEW}, leftover='drop'}}]",
            f"train.batch_size = 4; data.datasets = [{FEW}}}]",
        )
    ],
    "CFG089": [
        (
            f"data.datasets = [{{id='a', path='a'}}, {EVAL}, repeats=2}}]",
            "data.datasets = [{id='a', path='a', repeats=2}]",
        )
    ],
    "CFG090": [("validation.every_steps = 10", f"{PROMPT}; validation.every_steps = 10")],
    "CFG091": [
        ("validation.resolution = '500px'", "validation.resolution = '512px'"),
    ],
    "CFG092": [("validation.prompts = ['a', ' ']", PROMPT)],
    "CFG093": [
        ("eval.samples = 3", f"eval.samples = 3; data.datasets = [{{id='a', path='a'}}, {EVAL}}}]")
    ],
    "CFG094": [("eval.style_reference = 'b'", f"{PROMPT}; eval.style_reference = 'b'")],
    "CFG095": [
        (
            "data.datasets = [{id='a', path='a'}, {id='e', path='a', role='eval'}]",
            f"data.datasets = [{{id='a', path='a'}}, {EVAL}}}]",
        )
    ],
    "CFG096": [("checkpoint.allow = ['sed']", "checkpoint.allow = ['seed']")],
    "CFG097": [
        (
            "data.datasets = [{id='a', path='a'}, {id='b', path='a'}]",
            "data.datasets = [{id='a', path='a'}, {id='b', path='a', resolution='512px2'}]",
        )
    ],
    "CFG098": [
        (
            "data.missing_caption = 'skip'; data.defaults.caption.source = 'filename'",
            "data.missing_caption = 'skip'",
        )
    ],
    "CFG160": [
        (
            "data.datasets = [{id='a', path='a', kind='video'}]",
            "data.datasets = [{id='a', path='a'}, {id='v', path='b', kind='video', enabled=false}]",
        )
    ],
    "CFG161": [
        (
            "data.datasets = [{id='a', path='a', suffix='.mask'}]",
            f"data.datasets = [{MASKED}, {{id='m', path='a', role='mask', suffix='.mask'}}]",
        )
    ],
    "CFG162": [
        (
            "data.datasets = [{id='a', path='a', overlay='nowhere.toml'}]",
            "data.datasets = [{id='a', path='a', overlay='base.safetensors'}]",
        )
    ],
    "CFG163": [
        ("data.workers = 0; data.prefetch = 4", "data.workers = 1; data.prefetch = 4"),
    ],
    "CFG164": [
        (
            "data.missing_partner = 'skip'",
            f"data.missing_partner = 'skip'; data.datasets = [{MASKED}, {MASKS}]",
        ),
    ],
    "CFG101": [
        (f"{PROMPT}; validation.at_start = false; validation.at_end = false", PROMPT),
    ],
    "CFG102": [("validation.enabled = false; validation.steps = 4", "validation.steps = 4")],
    "CFG103": [
        (
            f"{XL}; {PROMPT}; validation.negative = 'x'; validation.guidance = 1.0",
            f"{XL}; {PROMPT}; validation.negative = 'x'",
        )
    ],
    "CFG104": [
        (f"{PROMPT}; validation.negative = 'x'", f"{SD}; {PROMPT}; validation.negative = 'x'")
    ],
    "CFG105": [
        ("checkpoint.resume = 'never'; checkpoint.allow = ['seed']", "checkpoint.resume = 'never'")
    ],
    "DAT001": [
        ("data.datasets = [{id='a', path='none'}]", "data.datasets = [{id='a', path='a'}]"),
        ("data.datasets = [{id='a', path='base.ckpt'}]", "data.datasets = [{id='a', path='b'}]"),
        (f"{PROMPT}; eval.style_reference = 'none'", f"{PROMPT}; eval.style_reference = 'a'"),
    ],
}
CASES |= partner_cases.CASES
FLAT = [(code, *pair) for code, pairs in CASES.items() for pair in pairs]


def findings(folder: Path, lines: str) -> dict[str, Finding]:
    """Findings of the base job with some lines changed (`-key` removes one)."""
    values = dict(BASE)
    for line in lines.split("; "):
        key, _, value = line.partition(" = ")
        values[key] = value
        if key.startswith("-"):
            del values[key], values[key[1:]]
    for name in ("a", "b"):
        (folder / name).mkdir(exist_ok=True)
    for name in ("base.ckpt", "base.safetensors"):
        (folder / name).touch()
    text = "".join(f"{key} = {value}\n" for key, value in values.items())
    return {f.code: f for f in resolve(text, base_dir=folder, env={}).findings}


@pytest.mark.parametrize(("code", "broken", "whole"), FLAT)
def test_a_rule_finds_what_it_is_for_and_nothing_else(
    tmp_path: Path, code: str, broken: str, whole: str
) -> None:
    """B04 acceptance 2; the finding has a place, a reason or a remedy, and blames a key."""
    found = findings(tmp_path, broken)
    assert code in found
    assert found[code].fix
    assert found[code].evidence["key"]
    assert code not in findings(tmp_path, whole)


def test_the_base_job_is_clean(tmp_path: Path) -> None:
    """Otherwise the passing cases would prove little."""
    assert findings(tmp_path, "job.seed = 1") == {}


def test_every_rule_has_a_case() -> None:
    """A new rule needs a job that breaks it; codes of rules are never left without one."""
    source = "".join(p.read_text() for p in Path(rules.__path__[0]).glob("*.py"))
    used = set(re.findall(r'"([A-Z]{3}\d{3})"', source))
    assert used == CASES.keys()
    assert used <= CODES.keys()
    assert len(used) >= 60


@pytest.mark.parametrize(("code", "broken", "whole"), FLAT)
def test_a_patch_mends_what_it_is_for(tmp_path: Path, code: str, broken: str, whole: str) -> None:
    """Applied, the finding is gone and no new error has come."""
    from trainer.config.fix import fix_text

    del whole
    before = findings(tmp_path, broken)
    if before[code].patch is None:
        return
    values = dict(line.split(" = ", 1) for line in broken.split("; "))
    text = "".join(f"{k} = {v}\n" for k, v in (BASE | values).items())
    mended, applied = fix_text(text, [before[code]])
    assert applied == [before[code]]
    after = {f.code: f for f in resolve(mended, base_dir=tmp_path, env={}).findings}
    assert code not in after
    assert {c for c, f in after.items() if f.level == "error"} <= before.keys()


def test_a_missing_folder_is_an_error_of_the_data(tmp_path: Path) -> None:
    """The trainer ends with 65 for it, not with 64."""
    found = findings(tmp_path, "data.datasets = [{id='a', path='none'}]")
    assert [f.code[:3] for f in found.values()] == ["DAT"]
