"""`stune lora` as a real program: documents, exit codes, and no traceback on bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sttui.cli.lora import LAYOUTS
from tests.support.adapter_files import lora, written
from trainer.adapters.tools.verbs import _VERBS
from trainer.adapters.tools.write import LAYOUTS as WRITTEN

ROOT = Path(__file__).parents[4]


def stune(folder: Path, *argv: str) -> tuple[int, str, str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    line = [sys.executable, "-m", "sttui", "lora", *argv]
    done = subprocess.run(line, env=environment, cwd=folder, capture_output=True, timeout=90)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "style.safetensors", lora("flux"))


def test_layouts_are_those_of_the_trainer():
    """The two lists are one; the client may not import the other."""
    assert LAYOUTS == WRITTEN


@pytest.mark.parametrize("name", _VERBS)
def test_help_shows_an_example(name, run):
    """Every verb exists on both sides and says how it is called."""
    done = run("lora", name, "--help")
    assert done.code == 0
    assert f"Example: stune lora {name}" in " ".join(done.out.split())


def test_convert_and_diff(tmp_path, file):
    """There, and nothing is different."""
    argv = ("--family", "flux", "--to", "kohya", "--out", "k.safetensors", "--json")
    code, out, err = stune(tmp_path, "convert", str(file), *argv)
    assert code == 0, err
    document = json.loads(out)
    assert document["schema"] == "lora-convert/1"
    assert document["data"]["layout"] == "kohya"
    code, out, _ = stune(tmp_path, "diff", str(file), "k.safetensors", "--family", "flux", "--json")
    assert code == 0
    assert json.loads(out)["equal"] is True


def test_check_ends_as_asked(tmp_path, file):
    """A warning is no failure unless --fail-on says so; the document has it either way."""
    code, out, _ = stune(tmp_path, "check", str(file), "--json")
    assert code == 0
    assert [f["code"] for f in json.loads(out)["findings"]] == ["LOR022"]
    code, _, err = stune(tmp_path, "check", str(file), "--fail-on", "warn")
    assert code == 1
    assert "LOR022" in err


def test_a_broken_file_fails_the_check(tmp_path):
    """NaN is an error: exit code 1, told with its remedy."""
    adapter = lora("flux")
    parts = [part.mapped(lambda t: t * float("nan")) for part in adapter.parts]
    bad = written(tmp_path / "bad.safetensors", adapter.with_parts(parts))
    code, out, err = stune(tmp_path, "check", str(bad), "--family", "flux")
    assert code == 1
    assert "LOR025" in err
    assert "fix:" in err
    code, out, _ = stune(tmp_path, "inspect", str(bad), "--family", "flux", "--json")
    assert code == 1
    assert json.loads(out)["data"]["layers"]


@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        (["inspect", "none.safetensors"], 1, "LOR003"),
        (["inspect", "text.safetensors"], 1, "LOR003"),
        (["inspect", "style.safetensors", "--family", "fluxx"], 1, "did you mean flux"),
        (["convert", "style.safetensors", "--to", "nope", "--out", "o.safetensors"], 2, "layout"),
        (["convert", "style.safetensors", "--to", "lycoris", "--out", "o.txt"], 1, "LOR034"),
        (["resize", "style.safetensors", "--out", "o.safetensors"], 2, "--rank"),
        (["merge", "style.safetensors=x", "--out", "o.safetensors"], 1, "LOR033"),
        (["bake", "style.safetensors", "--base", "none", "--out", "o.safetensors"], 1, "LOR03"),
        (["extract", "none", "none", "--out", "o.safetensors"], 1, "LOR022"),
        (["prune", "style.safetensors", "--out", "o.safetensors"], 2, "--drop"),
        (["check", "style.safetensors", "--fail-on", "never"], 2, "--fail-on"),
    ],
)
def test_mistakes_are_findings(argv, code, told, tmp_path, file):
    """Each ends with its code and one readable finding, without a traceback and without a file."""
    (tmp_path / "text.safetensors").write_text("this is no adapter")
    ended, _, err = stune(tmp_path, *argv)
    assert ended == code, err
    assert told in err
    assert "Traceback" not in err
    assert not list(tmp_path.glob("o.*"))
