"""`python -m trainer cache VERB`: one document per call, no torch, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import cached
from tests.support.cached import put, run_dir, stored, use
from trainer.cache import origin
from trainer.cache.origin import Origin
from trainer.cache.verbs import main

HEAVY = {"torch", "numpy", "PIL", "safetensors", "diffusers", "transformers"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "objects"
    put(root, range(5))
    use(root, run_dir(tmp_path, "one"), range(3))
    return root


def ask(capsys: pytest.CaptureFixture[str], root: Path, *argv: str) -> tuple[int, dict[str, Any]]:
    """Exit code and the document, which must be the last line."""
    capsys.readouterr()
    code = main(["--root", str(root), *argv])
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_stat(capsys, root):
    """What is there, of which encoder, and who uses it."""
    code, answer = ask(capsys, root, "stat")
    assert (code, answer["schema"]) == (0, "cache-stat/1")
    (store,) = answer["data"]["stores"]
    assert (store["kind"], store["encoder"], store["entries"]) == ("latents", "vae-1", 5)
    assert (store["live_bytes"], store["runs"], store["shards"]) == (5000, 1, 1)
    assert store["num_bytes"] == answer["data"]["num_bytes"] > 5000
    (reference,) = answer["data"]["references"]
    assert (reference["dataset"], reference["entries"], reference["resumable"]) == ("a", 3, True)


def test_gc_says_what_it_would_do_and_does_it(capsys, root):
    """The dry run changes nothing and foresees the same number."""
    _, foreseen = ask(capsys, root, "gc", "--quota", "0", "--dry-run")
    assert stored(root) == set(range(5))
    code, done = ask(capsys, root, "gc", "--quota", "0")
    assert (code, done["data"]["entries"], foreseen["data"]["entries"]) == (0, 2, 2)
    assert [(f["code"], f["level"]) for f in done["findings"]] == [("DAT104", "warn")]
    assert stored(root) == {0, 1, 2}


def test_verify_ends_with_one_when_something_is_damaged(capsys, root):
    """Damage is an error until it is repaired."""
    shard = next(root.glob("latents/vae-1/*.st"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"\0")
    code, answer = ask(capsys, root, "verify")
    assert code == 1
    assert [d["key"] for d in answer["data"]["damaged"]] == [cached.key(4).hex()]
    assert ask(capsys, root, "verify", "--repair")[0] == 0
    code, answer = ask(capsys, root, "verify")
    assert (code, answer["data"]["damaged"], answer["findings"]) == (0, [], [])


def test_export_and_import(capsys, root, tmp_path):
    """From one cache to another that is made by it."""
    file = str(tmp_path / "cache.tar")
    assert ask(capsys, root, "export", file, "--dataset", "a")[1]["data"]["entries"] == 3
    code, answer = ask(capsys, tmp_path / "new", "import", file)
    assert (code, answer["data"]["entries"]) == (0, 3)
    assert stored(tmp_path / "new") == {0, 1, 2}


def test_why(capsys, root):
    """One row for each entry of the sample."""
    place = ("/data/cats", "tom.png", "latents")
    origin.record(root, [Origin(*place, cached.key(1), "vae-1", {"content": "ab"})])
    code, answer = ask(capsys, root, "why", "/data/cats/tom.png")
    assert (code, [row["state"] for row in answer["data"]]) == (0, ["stored"])


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["why", "/nowhere/x.png"], "DAT109"),
        (["export", "/nowhere/x.tar"], "DAT103"),
        (["export", "x.tar", "--run", "/nowhere"], "DAT111"),
        (["import", "/nowhere/x.tar"], "DAT103"),
        (["gc", "--quota", "-1"], "DAT111"),
        (["gc", "--unused", "nan"], "DAT111"),
        (["why", "/x.png", "--job", "/nowhere.toml"], "CFG001"),
    ],
)
def test_wrong_requests_are_findings(capsys, root, argv, code):
    """Exit code 1, no data, the reason as a finding."""
    found, answer = ask(capsys, root, *argv)
    assert (found, answer["data"], answer["findings"][0]["code"]) == (1, None, code)


@pytest.mark.parametrize("verb", ["stat", "gc", "verify"])
def test_no_cache_yet(capsys, tmp_path, verb):
    """DAT110, and none is made by looking."""
    code, answer = ask(capsys, tmp_path / "none", verb)
    assert (code, answer["findings"][0]["code"]) == (1, "DAT110")
    assert not (tmp_path / "none").exists()


def test_damaged_database_is_a_finding(capsys, root):
    """Neither a traceback nor a new empty index over the old files."""
    for path in root.glob("cache.db*"):
        path.unlink()
    (root / "cache.db").write_bytes(b"no database" * 1000)
    code, answer = ask(capsys, root, "stat")
    assert (code, answer["findings"][0]["code"]) == (1, "DAT103")


@pytest.mark.parametrize(
    "argv",
    [["stat"], ["gc"], ["verify"], ["export", "x.tar"], ["import", "x.tar"], ["why", "/x/y.png"]],
    ids=lambda argv: argv[0],
)
def test_no_verb_loads_torch(root, tmp_path, argv):
    """A machine without the training packages can look after its cache."""
    code = (
        "import sys; from trainer.__main__ import main;"
        f"main(['cache', '--root', {str(root)!r}, *{argv!r}]);"
        f"sys.exit(bool({{m.partition('.')[0] for m in sys.modules}} & {HEAVY!r}))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[4])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
