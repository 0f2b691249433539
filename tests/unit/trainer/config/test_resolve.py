"""From a job file to the effective configuration: layers, origins, paths, presets."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.config.lint import lint_file, lint_text
from trainer.config.resolve import Resolved, resolve
from trainer.runs.homes import config_home

JOB = '[model]\nfamily = "flux"\n[train]\nsteps = 10\n[[data.datasets]]\nid = "a"\npath = "."\n'


def codes(resolved: Resolved) -> list[str]:
    return [f.code for f in resolved.findings]


def own_preset(name: str, text: str) -> Path:
    path = config_home() / "presets" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_short_job_is_complete(tmp_path: Path) -> None:
    """Family, train length and data are all that a job has to say."""
    resolved = resolve(JOB, base_dir=tmp_path, env={})
    assert codes(resolved) == []
    assert resolved.config is not None
    assert resolved.config.data.datasets[0].path == str(tmp_path)
    assert resolved.effective()["model"]["path"] == "black-forest-labs/FLUX.1-dev"


def test_defaults_that_depend_on_a_choice_have_an_origin(tmp_path: Path) -> None:
    """Learning rate by optimiser and mode, shift by family, repository by flavour."""
    resolved = resolve(JOB, base_dir=tmp_path, env={})
    assert resolved.config is not None
    assert resolved.config.optimizer.lr == 1e-4
    assert str(resolved.origin("optimizer.lr")) == "built-in (adamw, adapter)"
    assert str(resolved.origin("noise.shift")) == "family flux"
    assert str(resolved.origin("model.path")) == "family flux dev"
    assert str(resolved.origin("adapter.rank")) == "built-in"
    over = resolve(
        JOB, base_dir=tmp_path, env={}, overrides=["model.mode=full", "optimizer.name=prodigy"]
    )
    assert over.config is not None
    assert over.config.optimizer.lr == 1.0
    assert over.config.adapter.preset is None


def test_a_flavour_brings_its_own_defaults(tmp_path: Path) -> None:
    """Schnell draws in four steps without guidance."""
    resolved = resolve(JOB, base_dir=tmp_path, env={}, overrides=["model.flavour=schnell"])
    assert resolved.config is not None
    assert (resolved.config.validation.steps, resolved.config.validation.guidance) == (4, 0.0)
    assert str(resolved.origin("validation.steps")) == "family flux schnell"


def test_pictures_take_the_steps_that_are_usual_for_the_family(tmp_path: Path) -> None:
    """The fact is the default, not one number for all: 28 for Flux, 50 for AuraFlow."""
    for family, steps in (("flux", 28), ("auraflow", 50)):
        resolved = resolve(f"model.family = '{family}'", base_dir=tmp_path, env={})
        assert resolved.data["validation"]["steps"] == steps
        assert str(resolved.origin("validation.steps")) == f"family {family}"


def test_layers_win_in_order(tmp_path: Path) -> None:
    """Preset < file < environment < command line, each with its place."""
    own_preset("flux/mine", '[model]\nfamily = "flux"\n[train]\nsteps = 1\n[job]\nseed = 1\n')
    path = tmp_path / "job.toml"
    path.write_text('preset = "flux/mine"\n[job]\nseed = 2\n[adapter]\nrank = 2\nalpha = 2\n')
    env = {"STUNE_SET__adapter__rank": "3", "STUNE_SET__adapter__alpha": "3", "OTHER": "x"}
    resolved = resolve(path, env=env, overrides=["adapter.alpha=4"])
    assert resolved.config is not None
    values = {
        "train.steps": (1, "preset"),
        "job.seed": (2, f"file {path}:3"),
        "adapter.rank": (3, "environment STUNE_SET__adapter__rank"),
        "adapter.alpha": (4, "command line --set adapter.alpha"),
    }
    for key, (value, origin) in values.items():
        section, name = key.split(".")
        assert getattr(getattr(resolved.config, section), name) == value
        assert str(resolved.origin(key)).startswith(origin)


def test_unset_lets_the_default_through(tmp_path: Path) -> None:
    """Also a default that depends on the family, and with its origin."""
    text = JOB + "[noise]\nshift = 9.0\n"
    resolved = resolve(text, base_dir=tmp_path, env={}, unset=["noise.shift"])
    assert resolved.config is not None
    assert resolved.config.noise.shift == 3.0
    assert str(resolved.origin("noise.shift")) == "family flux"
    assert codes(resolve(text, env={}, unset=["noise.shfit"])) == ["CFG004"]


def test_single_values_reach_into_datasets(tmp_path: Path) -> None:
    """On the command line and in the environment; a preset without data becomes a job."""
    resolved = resolve(
        'preset = "sdxl/lora-12gb"\n',
        env={"STUNE_SET__data__datasets__0__id": "mine"},
        overrides=[f"data.datasets[0].path={tmp_path}", "data.datasets[0].repeats=3"],
    )
    assert codes(resolved) == []
    assert resolved.config is not None
    assert resolved.config.data.datasets[0].repeats == 3
    assert resolved.config.data.datasets[0].id == "mine"


@pytest.mark.parametrize("text", ["train.steps", "=3", "train.stepz=3", "data.datasets[4].id=x"])
def test_bad_overrides_are_findings(text: str) -> None:
    """Not KEY=VALUE, an unknown key, an index that leaves a gap."""
    resolved = resolve(JOB, env={}, overrides=[text])
    assert resolved.config is None
    assert codes(resolved)[-1] in {"CFG004", "CFG007"}


def test_a_bad_variable_names_itself() -> None:
    """The place of a finding is the variable."""
    found = resolve(JOB, env={"STUNE_SET__train__stepz": "3"}).findings[-1]
    assert found.where == "STUNE_SET__train__stepz"
    assert "train.steps" in found.fix


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    """Data, adapters and model folders; a hub id stays as it is; the shell's ~ works."""
    (tmp_path / "base").mkdir()
    path = tmp_path / "job.toml"
    path.write_text(JOB + '[eval]\nstyle_reference = "~/x"\n[cache]\nroot = "c"\n')
    resolved = resolve(path, env={}, overrides=["model.components.vae.path=owner/name"])
    assert resolved.config is not None
    assert resolved.config.cache.root == str(tmp_path / "c")
    assert resolved.config.eval.style_reference == str(Path.home() / "x")
    assert resolved.config.model.components.vae.path == "owner/name"
    path.write_text(JOB.replace('"flux"', '"flux"\npath = "base"'))
    local = resolve(path, env={}).config
    assert local is not None
    assert local.model.path == str(tmp_path / "base")


def test_presets_build_on_presets(tmp_path: Path) -> None:
    """A chain of any length; both forms of naming the base; nearest preset wins."""
    own_preset(
        "flux/one", '[preset]\ntitle = "One"\n[model]\nfamily = "flux"\n[train]\nsteps = 1\n'
    )
    own_preset("flux/two", '[preset]\nbase = "flux/one"\n[job]\nseed = 2\n[adapter]\nrank = 2\n')
    own_preset("flux/three", 'preset = "flux/two"\n[adapter]\nrank = 3\n')
    resolved = lint_text('preset = "flux/three"\n')
    assert codes(resolved) == []
    config = resolved.config
    assert config is not None
    assert (config.train.steps, config.job.seed, config.adapter.rank) == (1, 2, 3)


def test_presets_in_a_circle_are_refused() -> None:
    """With the circle in words."""
    own_preset("flux/one", '[preset]\nbase = "flux/two"\n')
    own_preset("flux/two", '[preset]\nbase = "flux/one"\n')
    found = resolve('preset = "flux/one"\n', env={}).findings
    assert [f.code for f in found] == ["CFG008"]
    assert "flux/one → flux/two → flux/one" in found[0].message


@pytest.mark.parametrize(
    ("text", "code", "fix"),
    [
        ('preset = "sdxl/lora-12bg"\n', "CFG010", "sdxl/lora-12gb"),
        ('[preset]\nbase = "sdxl/lora-12bg"\n', "CFG010", "sdxl/lora-12gb"),
        ('[preset]\ntitel = "x"\n', "CFG004", "preset.title"),
        ('[preset]\nvram_gb = "24"\n', "CFG006", "a whole number"),
        ("preset = 3\n", "CFG006", "the name of a preset"),
    ],
)
def test_a_wrong_description_is_told(text: str, code: str, fix: str) -> None:
    """Names and types in `[preset]` are checked like all others."""
    found = {f.code: f for f in resolve(text, env={}).findings}
    assert fix in found[code].fix


def test_a_preset_may_leave_out_the_data(tmp_path: Path) -> None:
    """Linted as itself or by its bare name it is whole; as a job it is not."""
    path = tmp_path / "p.toml"
    path.write_text('[preset]\ntitle = "x"\n[model]\nfamily = "flux"\n[train]\nsteps = 1\n')
    assert codes(lint_file(path)) == []
    assert codes(resolve(path, env={})) == ["CFG080"]
    assert codes(lint_text('preset = "sdxl/lora-12gb"\n')) == []
    assert codes(lint_text('preset = "sdxl/lora-12gb"\n[job]\nseed = 1\n')) == ["CFG080"]
    path.write_text('[model]\nfamily = "flux"\n[train]\nsteps = 1\n')
    assert codes(lint_file(path)) == ["CFG080"]
    assert codes(lint_file(path, preset=True)) == []


def test_datasets_keep_shared_settings_they_do_not_change(tmp_path: Path) -> None:
    """A dataset that sets one caption key keeps the others of data.defaults, with their origin."""
    text = JOB + 'caption.source = "filename"\n[data.defaults]\ncaption.dropout = 0.25\n'
    resolved = resolve(text, base_dir=tmp_path, env={})
    assert resolved.config is not None
    caption = resolved.config.data.datasets[0].caption
    assert caption is not None
    assert (caption.source, caption.dropout) == ("filename", 0.25)
    assert str(resolved.origin("data.datasets[0].caption.dropout")) == "file <text>:10"


def test_what_a_preset_set_in_vain_is_only_a_remark(tmp_path: Path) -> None:
    """A job that turns off what its preset needed cannot remove the preset's keys."""
    own_preset("flux/a", '[model]\nfamily = "flux"\n[adapter]\nrank = 4\n[train]\nsteps = 9\n')
    text = 'preset = "flux/a"\nmodel.mode = "full"\n[[data.datasets]]\nid = "a"\npath = "."\n'
    remark = resolve(text, base_dir=tmp_path, env={}).findings
    assert [(f.code, f.level) for f in remark] == [("CFG030", "info")]
    mistake = resolve(text + "[adapter]\nrank = 5\n", base_dir=tmp_path, env={}).findings
    assert [(f.code, f.level) for f in mistake] == [("CFG030", "error")]


def test_an_effective_configuration_reads_back_equal(tmp_path: Path) -> None:
    """What is stored with a run starts the same run, without remarks on its defaults."""
    import json

    first = resolve(JOB, base_dir=tmp_path, env={}, overrides=["optimizer.args.betas=[0.9, 0.95]"])
    stored = tmp_path / "effective.json"
    stored.write_text(json.dumps(first.effective()))
    again = resolve(stored, env={})
    assert again.findings == []
    assert again.config == first.config


def test_resolving_a_toml_job_imports_no_other_parser(tmp_path: Path) -> None:
    """Every command of the client pays for it: tomlkit, yaml and the sources stay unread."""
    import subprocess
    import sys

    program = (
        "import sys\n"
        "from trainer.config.resolve import resolve\n"
        f"assert resolve({JOB!r}, env={{}}).config is not None\n"
        "print(sorted({'tomlkit', 'yaml', 'rich'} & sys.modules.keys()))\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


def test_a_model_of_a_generator_is_a_path_too(tmp_path):
    """Relative to the job file when it is there; a hub id stays one."""
    (tmp_path / "depth").mkdir()
    (tmp_path / "a").mkdir()

    def model(written: str) -> str:
        entry = f"{{generate = 'depth', options = {{model = '{written}'}}}}"
        text = (
            f"model.family = 'flux'\ndata.datasets = [{{id='a', path='a', conditioning=[{entry}]}}]"
        )
        config = resolve(text, base_dir=tmp_path, env={}).config
        assert config is not None
        return config.data.datasets[0].conditioning[0].options["model"]

    assert model("depth") == str(tmp_path / "depth")
    assert model("owner/depth") == "owner/depth"
