"""Every cross-field rule has a job that breaks it and a job that does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.trainer.config import (
    adapter_cases,
    control_cases,
    memory_cases,
    partner_cases,
    source_cases,
)
from trainer.config import rules
from trainer.config.resolve import resolve
from trainer.finding_codes import CODES
from trainer.findings import Finding

SD2 = "model.family = 'sd2x'"
CASCADE = "model.family = 'stable_cascade'"
SD, XL, FLUX = "model.family = 'sd1x'", "model.family = 'sdxl'", "model.family = 'flux'"
KANDINSKY = "model.family = 'kandinsky5_image'"
LARGE = "data.defaults.resolution = '1280px2'"
OMNIGEN = "model.family = 'omnigen'"
FULL = "model.mode = 'full'"
BF16 = "compute.precision.dtype = 'bf16'"
DENOISER, DECODER = "model.components.denoiser.dtype", "model.options.stable_cascade.decoder"
LUMINA = "model.family = 'lumina2'"
SCHNELL = "model.flavour = 'schnell'"
HELP, ALONE = "model.assistant.path = 'owner/model'", "model.assistant.enabled = false"
SCHEDULEFREE, PRODIGY = "optimizer.name = 'schedulefree'", "optimizer.name = 'prodigy'"
PROMPT = "validation.prompts = ['a cat']"
REFINER = "model.family = 'sdxl'; model.flavour = 'refiner-1.0'"
IF = "model.family = 'deepfloyd'"
STAGE_2 = f"{IF}; model.flavour = 'ii-medium-450m'"
PARTLY_MASKED = "{id='b', path='b', conditioning=[{dataset='m'}]}"
SMALL = (
    "data.datasets = [{id='a', path='a', conditioning=[{generate='low_resolution', "
    "options={downscale_factor=4}}]}]"
)
V = "model.prediction_type = 'v_prediction'"
BASE = {
    "model.family": "'flux'",
    "train.steps": "100",
    "data.datasets": "[{id = 'a', path = 'a'}]",
}
FEW = "{id='a', path='a', max_samples=3"
MASKED = "{id = 'a', path = 'a', conditioning = [{dataset = 'm'}]}"
MASKS = "{id = 'm', path = 'b', role = 'mask'}"
VIDEO = "data.datasets = [{id='v', path='a', kind='video'"
AUDIO = "data.datasets = [{id='s', path='a', kind='audio'"
EVAL = "{id = 'e', path = 'b', role = 'eval'"
STREAM = "data.mix = 'stream'"


def two(one: str, other: str = "") -> str:
    """Two datasets with these settings."""
    first = f"{{id='a', path='a'{one and ', '}{one}}}"
    return f"data.datasets = [{first}, {{id='b', path='b'{other and ', '}{other}}}]"


CAPTION, CROP = "data.defaults.caption", "data.defaults.crop"
TABLE = "data.datasets = [{id='a', source={kind='table', path='base.ckpt'}}]"


B = "{id='b', path='b'}"


def _one(more: str, *others: str) -> str:
    """A dataset with something more, and other datasets."""
    datasets = ", ".join((f"{{id='a', path='a', {more}}}", *others))
    return f"data.datasets = [{datasets}]"


def _large(above: str, to: str) -> str:
    return _one(f"downsample={{above='{above}', to='{to}'}}")


WIDE = _one("resolution = '1280px2', max_aspect = 2.0")
NEITHER = _one("resolution = '1280px2', min_aspect = 0.5, max_aspect = 2.0")

# code -> (lines that break the rule, lines that do not)
CASES: dict[str, list[tuple[str, str]]] = {
    "CFG011": [("model.family = 'fluxx'", FLUX)],
    "CFG012": [("model.flavour = 'devv'", "model.flavour = 'dev'")],
    "CFG013": [(V, f"{SD}; {V}"), (f"{CASCADE}; {V}", CASCADE)],
    "CFG014": [
        ("model.zero_terminal_snr = true", f"{SD}; {V}; model.zero_terminal_snr = true"),
        (f"{CASCADE}; model.zero_terminal_snr = true", CASCADE),
    ],
    "CFG015": [
        (f"{SD}; model.zero_terminal_snr = true", f"{SD}; {V}; model.zero_terminal_snr = true"),
        (
            f"{SD2}; model.flavour = '2.1-base'; model.zero_terminal_snr = true",
            f"{SD2}; model.zero_terminal_snr = true",
        ),
    ],
    "CFG016": [(f"{SD}; model.options.flux.guidance = 2.0", "model.options.flux.guidance = 2.0")],
    "CFG017": [
        (f"{XL}; model.max_tokens = 77", "model.max_tokens = 77"),
        ("model.family = 'longcat_image'; model.max_tokens = 512", "model.max_tokens = 512"),
    ],
    "CFG018": [
        ("model.max_tokens = 513", "model.max_tokens = 512"),
        ("model.max_tokens = 1000", "model.family = 'qwen_image'; model.max_tokens = 1000"),
        (f"{LUMINA}; model.max_tokens = 300", f"{LUMINA}; model.max_tokens = 299"),
        (
            "model.family = 'auraflow'; model.max_tokens = 769",
            "model.family = 'auraflow'; model.max_tokens = 768",
        ),
    ],
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
    "CFG210": [("model.assistant.path = './nowhere'", "model.assistant.path = 'owner/model'")],
    "CFG211": [
        (f"{FULL}; {HELP}", HELP),
        ("model.assistant.strength = 0.5", f"{HELP}; model.assistant.strength = 0.5"),
        (
            f"{HELP}; {ALONE}; model.assistant.strength = 0.5",
            f"{HELP}; {ALONE}; model.assistant.weight_name = 'a.safetensors'",
        ),
    ],
    "CFG212": [
        (f"{SCHNELL}; {ALONE}", SCHNELL),
        (f"{SCHNELL}; {FULL}", f"{FULL}; {ALONE}"),
    ],
    "CFG214": [
        (f"{LUMINA}; adapter.targets = ['to_q', 'to_k']", "adapter.targets = ['to_q', 'to_k']"),
        (
            f"{LUMINA}; adapter.targets = ['layers.0.attn.to_v']",
            f"{LUMINA}; adapter.targets = ['layers.0.attn.to_v']; adapter.formats = ['diffusers']",
        ),
        (
            f"{LUMINA}; adapter.targets = ['to_q', 'to_k', 'attn.to_v']",
            f"{LUMINA}; adapter.targets = ['to_q', 'to_k', 'to_v']",
        ),
    ],
    "CFG215": [
        ("model.family = 'sana'; cache.latents = 'distribution'", "cache.latents = 'distribution'")
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
        (
            f"{CASCADE}; data.defaults.resolution = '255px2'",
            f"{CASCADE}; data.defaults.resolution = '256px2'",
        ),
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
    "CFG140": [
        (f"{CROP}.aspect = 'random'", f"{CROP} = {{aspect='random', aspects=[1.0, 1.5]}}"),
        (
            _one("crop={aspect='closest'}"),
            f"{CROP}.aspects = [1]; " + _one("crop={aspect='closest'}"),
        ),
    ],
    "CFG141": [
        (f"{CROP}.aspects = [1.0]", f"{CROP} = {{aspect='closest', aspects=[1.0]}}"),
        (
            f"{CROP} = {{aspect='closest', aspects=[1.0], weights=[1.0]}}",
            f"{CROP} = {{aspect='random', aspects=[1.0], weights=[1.0]}}",
        ),
        (f"{CROP}.variants = 2", f"{CROP} = {{variants=2, position='random'}}"),
    ],
    "CFG142": [
        (
            f"{CROP} = {{aspect='random', aspects=[1.0, 2.0], weights=[1.0]}}",
            f"{CROP} = {{aspect='random', aspects=[1.0, 2.0], weights=[1.0, 0.0]}}",
        ),
        (
            f"{CROP} = {{aspect='random', aspects=[1.0], weights=[0.0]}}",
            f"{CROP} = {{aspect='random', aspects=[1.0], weights=[0.1]}}",
        ),
    ],
    "CFG143": [
        (
            f"{CROP} = {{aspect='closest', aspects=[0.0]}}",
            f"{CROP} = {{aspect='closest', aspects=[0.25, 4.0]}}",
        )
    ],
    "CFG144": [(_large("4mp", "5mp"), _large("4mp", "4mp"))],
    "CFG145": [(_large("4mp", "1024px2"), _large("4mp", "1025px2"))],
    "CFG146": [
        (
            "data.datasets = [{id='a', path='a', min_aspect=1.5, max_aspect=1.0}]",
            "data.datasets = [{id='a', path='a', min_aspect=1.0, max_aspect=1.0}]",
        )
    ],
    "CFG147": [
        ("data.align = 40", "data.align = 48"),
        (f"{SD}; data.align = 60", f"{SD}; data.align = 40"),
        (f"{CASCADE}; data.align = 64", f"{CASCADE}; data.align = 256"),
        (f"{OMNIGEN}; data.align = 24", f"{OMNIGEN}; data.align = 48"),
    ],
    "CFG148": [
        (
            "data.datasets = [{id='a', path='a'}, {id='s', path='b', kind='audio', min_size=9}]",
            "data.datasets = [{id='a', path='a', min_size=9}]",
        ),
        (
            f"data.datasets = [{MASKED}, {{id='m', path='b', role='mask', resolution=512}}]",
            f"data.datasets = [{MASKED}, {{id='m', path='b', role='mask', min_size=64}}]",
        ),
    ],
    "CFG149": [
        (f"data.geometry = 'reference'; {_large('4mp', '2mp')}", _large("4mp", "2mp")),
    ],
    "CFG150": [
        (f"{CAPTION}.filters = ['ok', 's/(/x/']", f"{CAPTION}.filters = ['(', 's/a/b/i']"),
    ],
    "CFG151": [(f"{CAPTION}.template = '{{captoin}}'", f"{CAPTION}.template = '{{caption}}'")],
    "CFG152": [
        (
            f"{CAPTION}.template = 'a {{name}}'",
            f"{CAPTION} = {{template='a {{name}}', source='filename'}}",
        )
    ],
    "CFG153": [
        (f"{CAPTION} = {{source='json', suffix='.caption'}}", f"{CAPTION}.suffix = '.caption'"),
        (
            f"{CAPTION} = {{source='json', split_lines=false}}",
            f"{CAPTION}.split_lines = false; " + _one("caption={source='json'}", B),
        ),
        (f"{CAPTION}.column = 'text'", f"{CAPTION} = {{source='json', column='text'}}"),
        (
            f"{CAPTION} = {{source='json', fallback_column='text'}}",
            f"{CAPTION} = {{source='table', fallback_column='text'}}; {TABLE}",
        ),
        (
            f"{CAPTION} = {{source='instanceprompt', prompt='x', prepend=true}}",
            f"{CAPTION} = {{prompt='x', prepend=true}}",
        ),
        (
            f"data.datasets = [{{id='a', path='a'}}, {EVAL}, caption={{dropout=0.1}}}}]",
            f"{CAPTION}.dropout = 0.1; data.datasets = [{{id='a', path='a'}}, {EVAL}}}]",
        ),
    ],
    "CFG154": [(f"{CAPTION}.source = 'table'", f"{CAPTION}.source = 'table'; {TABLE}")],
    "CFG155": [
        (
            f"{CAPTION} = {{source='filename', shuffle={{}}}}",
            f"{CAPTION} = {{source='filename', shuffle={{separator='space'}}}}",
        )
    ],
    "CFG156": [
        (
            f"{CAPTION}.suffix = '.a'; " + _one("caption={suffix='.b'}"),
            f"{CAPTION}.suffix = '.a'; " + _one("caption={dropout=0.1}"),
        ),
        (
            f"{CROP}.position = 'corner'; " + _one("crop={position='random'}"),
            f"{CROP}.position = 'corner'; " + _one("crop={position='random'}", B),
        ),
    ],
    "CFG157": [
        (
            f"data.datasets = [{MASKED}, {MASKS[:-1]}, caption={{dropout=0.1}}}}]",
            f"data.datasets = [{MASKED}, {MASKS}]",
        )
    ],
    "CFG170": [
        (
            f"{VIDEO}, video={{frames=81, max_frames=49}}}}]",
            f"{VIDEO}, video={{frames=49, max_frames=49}}}}]",
        )
    ],
    "CFG171": [
        (f"{VIDEO}, video={{frames=9, interval=16}}}}]", f"{VIDEO}, video={{interval=16}}}}]"),
        (
            f"data.defaults.video.max_frames = 9; data.defaults.video.interval = 10; {VIDEO}}}]",
            f"data.defaults.video.max_frames = 9; data.defaults.video.interval = 9; {VIDEO}}}]",
        ),
    ],
    "CFG172": [
        (f"{AUDIO}, audio={{max_s=2.5}}}}]", f"{AUDIO}, audio={{max_s=3.0}}}}]"),
    ],
    "CFG173": [
        (
            f"{AUDIO}, audio={{lyrics_suffix='.txt'}}}}]",
            f"{AUDIO}, audio={{lyrics_suffix='.lyrics.txt'}}}}]",
        ),
        (
            f"data.defaults.audio.lyrics_suffix = '.txt'; {AUDIO}}}]",
            f"data.defaults.audio.lyrics_suffix = '.txt'; {AUDIO}, caption={{suffix='.cap'}}}}]",
        ),
    ],
    "CFG176": [
        (
            _one("audio={lyrics_suffix='.lrc'}, kind='audio'", "").replace(
                "path='a'", "source={kind='tar', path='b'}"
            ),
            f"{AUDIO}, audio={{lyrics_suffix='.lrc'}}}}]",
        )
    ],
    "CFG174": [
        (f"{AUDIO}, audio={{lyrics_suffix='{wrong}'}}}}]", f"{AUDIO}, audio={{{right}}}}}]")
        for wrong, right in (
            ("txt", "lyrics_suffix='.lrc'"),
            ("", "lyrics_suffix='_lyrics.txt'"),
            ("../x.txt", "lyrics_suffix='-lyrics.txt'"),
        )
    ],
    "CFG175": [
        (f"{AUDIO}, video={{frames=9}}}}]", f"{VIDEO}, audio={{rate=48000}}}}]"),
        ("data.datasets = [{id='a', path='a', audio={rate=8000}}]", f"{AUDIO}, audio={{}}}}]"),
        ("data.defaults.video.frames = 9", f"data.defaults.video.frames = 9; {VIDEO}}}]"),
        ("data.defaults.audio.rate = 8000", f"data.defaults.audio.rate = 8000; {AUDIO}}}]"),
    ],
    "CFG220": [
        ("noise.interval = {low = 0.5, high = 0.5}", "noise.interval = {low = 0.4, high = 0.5}"),
        (f"{XL}; noise.interval = {{low = 0.9, high = 0.2}}", f"{XL}; noise.interval.high = 0.2"),
    ],
    "CFG221": [
        ("noise.interval.high = 0.2", "noise.interval = {high = 0.2, fit = 'rescale'}"),
        ("noise.interval.low = 0.999", "noise.interval.low = 0.9"),
        (
            "noise.sampling = 'beta'; noise.shift = 1.0; noise.interval.high = 0.05",
            "noise.sampling = 'beta'; noise.shift = 1.0; noise.interval.high = 0.1",
        ),
        (
            "noise.sampling = 'uniform'; noise.shift = 'auto'; noise.interval.high = 0.02",
            "noise.sampling = 'uniform'; noise.shift = 'auto'; noise.interval.high = 0.04",
        ),
    ],
    "CFG224": [
        (
            "model.family = 'deepfloyd'; adapter.formats = ['diffusers', 'comfyui']",
            "model.family = 'deepfloyd'; adapter.formats = ['diffusers']",
        ),
    ],
    "CFG223": [
        (f"{STAGE_2}; data.datasets = [{{id='a', path='a'}}]", f"{STAGE_2}; {SMALL}"),
        (
            f"{STAGE_2}; {SMALL[:-1]}, {PARTLY_MASKED}, {MASKS}]",
            f"{STAGE_2}; {SMALL[:-1]}, {{id='b', path='b', enabled=false}}]",
        ),
    ],
    "CFG225": [
        (
            "noise.interval.low = 0.5; validation.levels = 'trained'",
            f"{XL}; noise.interval.low = 0.5; validation.levels = 'trained'",
        )
    ],
    "CFG226": [
        (
            f"{XL}; validation.levels = 'trained'",
            f"{XL}; noise.interval.low = 0.5; validation.levels = 'trained'",
        ),
        (
            f"{XL}; validation.other_model = 'a'",
            f"{REFINER}; validation.other_model = 'a'",
        ),
    ],
    "CFG227": [
        (
            f"{REFINER}; validation.other_model = 'a'; noise.interval.low = 0.1",
            f"{REFINER}; noise.interval.low = 0.1",
        )
    ],
    "CFG228": [
        (
            f"{REFINER}; {PROMPT}; validation.steps = 4",
            f"{REFINER}; {PROMPT}; validation.steps = 6",
        )
    ],
    "CFG229": [
        (f"{IF}; cache.latents = 'mean'", "cache.latents = 'mean'"),
        (f"{IF}; compute.offload.vae = true", "compute.offload.vae = true"),
        (f"{IF}; model.components.vae.path = 'a'", f"{XL}; model.components.vae.path = 'a'"),
        (
            f"{IF}; {PROMPT}; eval.style_reference = 'a'",
            f"{XL}; {PROMPT}; eval.style_reference = 'a'",
        ),
    ],
    "CFG222": [
        (
            f"{XL}; noise.interval = {{high = 0.2, fit = 'rescale'}}",
            "noise.interval = {high = 0.6, fit = 'rescale'}",
        ),
        ("noise.interval.fit = 'rescale'", "noise.interval = {high = 0.6, fit = 'rescale'}"),
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
    "CFG130": [(two("weight=2.0"), f"{STREAM}; {two('weight=2.0')}")],
    "CFG131": [(f"{STREAM}; {two('repeats=2')}", two("repeats=2"))],
    "CFG132": [
        (two("active={from_step=9, to_step=9}"), two("active={from_step=9, to_step=10}")),
        (two("active={from_epoch=2, to_epoch=1}"), two("active={from_epoch=1, to_epoch=2}")),
    ],
    "CFG133": [
        (
            two("active={to_step=40}", "active={from_step=41}"),
            two("active={to_step=40}", "active={from_step=40}"),
        ),
        (two("active={from_step=1}", "active={from_step=2}"), two("active={from_step=1}")),
        (two("active={to_step=40}", "active={to_step=99}"), two("active={to_step=100}")),
        (
            f"-train.steps; train.epochs = 9; {two('active={to_epoch=8}', 'active={to_epoch=1}')}",
            f"-train.steps; train.epochs = 9; {two('active={to_epoch=8}', 'active={to_epoch=9}')}",
        ),
    ],
    "CFG134": [(two("active={from_step=100}"), two("active={from_step=99}"))],
    "CFG135": [
        (two("slider=1.0", "slider=0.0"), two("slider=1.0", "slider=-0.5")),
        (two("slider=-1.0"), two("slider=0.0")),
    ],
    "CFG136": [
        (two("", "role='eval', weight=2.0"), two("", "role='eval'")),
        (two("", "role='eval', active={to_step=3}"), two("", "active={to_step=3}")),
    ],
    "CFG137": [
        (
            f"-train.steps; train.epochs = 9; {STREAM}; {two('active={to_epoch=8}')}",
            f"-train.steps; train.epochs = 9; {STREAM}; {two('', 'active={to_epoch=8}')}",
        ),
        (
            f"-train.steps; train.epochs = 9; {STREAM}; {two('active={to_step=8}')}",
            f"{STREAM}; {two('active={to_step=8}')}",
        ),
    ],
    "CFG138": [
        (
            f"{STREAM}; {two('weight=1.0', 'weight=9e9')}",
            f"{STREAM}; {two('weight=0.1', 'weight=9e2')}",
        ),
        (f"{STREAM}; {two('weight=inf')}", f"{STREAM}; {two('weight=1.0')}"),
    ],
    "DAT001": [
        ("data.datasets = [{id='a', path='none'}]", "data.datasets = [{id='a', path='a'}]"),
        ("data.datasets = [{id='a', path='base.ckpt'}]", "data.datasets = [{id='a', path='b'}]"),
        (f"{PROMPT}; eval.style_reference = 'none'", f"{PROMPT}; eval.style_reference = 'a'"),
    ],
    "CFG230": [
        (f"{CASCADE}; {BF16}", f"{CASCADE}; {BF16}; {DENOISER} = 'fp32'"),
        (f"{CASCADE}; {DENOISER} = 'fp16'", CASCADE),
        (
            f"{CASCADE}; {FULL}; {BF16}; optimizer.name = 'adamw_bf16'",
            f"{CASCADE}; {FULL}; {BF16}",
        ),
    ],
    "CFG231": [
        (
            f"{CASCADE}; {DECODER} = 'a'",
            f"{CASCADE}; {DECODER} = 'a'; model.components.vae.path = 'base.safetensors'",
        ),
        (f"{CASCADE}; model.components.vae.path = 'a'", f"{FLUX}; model.components.vae.path = 'a'"),
    ],
    "CFG232": [
        (f"{CASCADE}; {DECODER} = 'a'; {PROMPT}", f"{CASCADE}; {DECODER} = 'a'"),
    ],
    "CFG233": [
        (
            f"{CASCADE}; loss.snr.gamma = 5.0; model.options.stable_cascade.p2_gamma = 1.0",
            f"{CASCADE}; loss.snr.gamma = 5.0",
        )
    ],
    "CFG234": [(f"{CASCADE}; cache.latents = 'sample'", "cache.latents = 'sample'")],
    "CFG240": [
        (f"{KANDINSKY}; data.defaults.resolution = '1088px2'", f"{KANDINSKY}"),
        (
            f"{KANDINSKY}; data.defaults.resolution = '1024px'",
            "data.defaults.resolution = '1024px'",
        ),
        (
            f"{KANDINSKY}; {WIDE}",
            f"{KANDINSKY}; {NEITHER}",
        ),
        (
            f"{KANDINSKY}; {CROP}.aspect = 'closest'; {CROP}.aspects = [0.25, 1.0]; {LARGE}",
            f"{KANDINSKY}; {CROP}.aspect = 'closest'; {CROP}.aspects = [0.5, 1.0]; {LARGE}",
        ),
        (
            f"{KANDINSKY}; {CROP}.aspect = 'square'; data.defaults.resolution = '2064px2'",
            f"{KANDINSKY}; {CROP}.aspect = 'square'; {LARGE}",
        ),
        (
            f"{KANDINSKY}; {PROMPT}; validation.resolution = '2064px'",
            f"{KANDINSKY}; {PROMPT}; validation.resolution = '2048px'",
        ),
    ],
}
CASES |= control_cases.CASES | partner_cases.CASES | adapter_cases.CASES | memory_cases.CASES
CASES["CFG118"].append((f"{IF}; {SMALL}", f"{STAGE_2}; {SMALL}"))
for code, pairs in source_cases.CASES.items():
    CASES.setdefault(code, []).extend(pairs)
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
