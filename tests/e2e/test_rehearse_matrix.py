"""What passes its rehearsal also trains: the promise over families, modes and options (B03)."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.pictures import make_folder
from tests.support.rehearsal import make_job, rehearse, train

STEPS = 50
HELD_OUT = '[[data.datasets]]\nid = "e"\npath = "e"\nrole = "eval"\n'
MASKS = '[[data.datasets]]\nid = "m"\npath = "a"\nconditioning = [{ generate = "random_masks" }]\n'

FAST = {
    "flux": ("flux", "", ()),
    "sdxl-full": ("sdxl", "", ("model.mode=full",)),
    "flux-ema-heldout": ("flux", HELD_OUT, ("ema.enabled=true",)),
}
SLOW = {
    **{kind: (kind, "", ()) for kind in ("sd1x", "sd2x", "sd3", "pixart", "auraflow", "chroma")},
    **{kind: (kind, "", ()) for kind in ("cogview4", "cosmos2", "qwen_image", "stable_cascade")},
    "prodigy": ("flux", "", ("optimizer.name=prodigy",)),
    "schedulefree": ("flux", "", ("optimizer.name=schedulefree",)),
    "adamw_bf16": ("flux", "", ("optimizer.name=adamw_bf16", "compute.precision.dtype=bf16")),
    "bf16": ("sd3", "", ("compute.precision.dtype=bf16",)),
    "accumulate": ("flux", "", ("train.accumulate=3", "train.batch_size=1")),
    "epochs": ("flux", "", ("train.epochs=25", "train.batch_size=2")),
    "no-checkpointing": ("flux", "", ("compute.checkpointing.enabled=false",)),
    "selective": ("flux", "", ("compute.checkpointing.mode=selective",)),
    "sequential": ("sd3", "", ("compute.text_encoders=sequential",)),
    "dora": ("flux", "", ("adapter.dora=true",)),
    "pissa": ("flux", "", ("adapter.init=pissa",)),
    "dropout": ("flux", "", ("adapter.dropout=0.2", "data.defaults.caption.dropout=0.3")),
    "masks": ("flux", MASKS, ()),
    "stream": ("flux", MASKS, ("data.mix=stream",)),
    "drop": ("flux", "", ("data.datasets[0].leftover=drop", "data.datasets[0].repeats=3")),
    "merge": ("flux", "", ("data.datasets[0].leftover=merge",)),
    "random-crop": ("flux", "", ("data.defaults.crop.position=random",)),
    "workers": ("flux", "", ("data.workers=2",)),
    "no-validation": ("flux", "", ("validation.enabled=false",)),
    "distribution": ("flux", "", ("cache.latents=distribution",)),
    "int8": ("flux", "", ("compute.quant.base=int8-quanto",)),
    "lycoris": ("flux", "", ("adapter.kind=lycoris",)),
}
LESS = {"sdxl-full": "[adapter]\nrank = 4\n", "epochs": "steps = 50\n"}  # cut out of the job
NEEDS = {"prodigy": "prodigyopt", "schedulefree": "schedulefree", "int8": "optimum"}
NEEDS |= {"lycoris": "lycoris"}
CASES = [pytest.param(name, id=name) for name in FAST]
CASES += [pytest.param(name, id=name, marks=pytest.mark.slow) for name in SLOW]


@pytest.mark.parametrize("name", CASES)
def test_what_passes_completes(name, tmp_path: Path, tiny_model, capsys):
    """The rehearsal passes, and then fifty real steps end with exit 0 and a finite loss."""
    if (package := NEEDS.get(name)) and find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    kind, extra, changes = (FAST | SLOW)[name]
    job = make_job(tmp_path, kind, tiny_model(kind), extra)
    job.write_text(job.read_text().replace(LESS.get(name, "\0"), "", 1))
    make_folder(tmp_path / "e", 3, sizes=((64, 64),), seed=9)
    args = [f"--set={change}" for change in changes]
    done = rehearse(capsys, job, *args)
    assert done.code == 0, done.findings
    code, last = train(job, tmp_path / "run", *args)
    assert code == 0, capsys.readouterr().err[-2000:]
    row = json.loads(last)
    assert row["step"] == STEPS or "train.epochs=25" in changes
    assert row["loss"] < 1e3
