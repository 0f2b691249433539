"""Reading job files: three formats, line numbers, and syntax errors that name their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.config.load import guess_format, parse_document, read_document
from trainer.errors import ConfigError

TOML = """# a comment
[model]
family = "flux"

[job]
notes = \"\"\"
steps = 3
[train]
\"\"\"

[[data.datasets]]
id = "a"
crop.position = "center"

[[data.datasets]]
id = "b"
[data.datasets.caption]
source = "filename"
"""
YAML = "model:\n  family: flux\ndata:\n  datasets:\n    - id: a\n    - id: b\n"
JSON = '{\n  "model": {\n    "family": "flux"\n  },\n  "data": {"datasets": [\n    {"id": "a"}]}\n}'


def test_toml_lines_of_nested_keys() -> None:
    """Dotted keys, array tables and their sub-tables have lines; long strings have none."""
    lines = parse_document(TOML, "toml", "job.toml").lines
    assert lines["model.family"] == 3
    assert lines["data.datasets[0].crop.position"] == 13
    assert lines["data.datasets[1].id"] == 16
    assert lines["data.datasets[1].caption.source"] == 18
    assert "job.steps" not in lines
    assert "train" not in lines


@pytest.mark.parametrize(
    ("text", "format", "path", "line"),
    [
        (YAML, "yaml", "model.family", 2),
        (YAML, "yaml", "data.datasets[1].id", 6),
        (JSON, "json", "model.family", 3),
        (JSON, "json", "data.datasets[0].id", 6),
    ],
)
def test_yaml_and_json_have_lines_too(text: str, format: str, path: str, line: int) -> None:
    """A finding names the line in every format."""
    assert parse_document(text, format, "job").where(path) == f"job:{line}"


def test_a_key_without_line_takes_the_nearest_table() -> None:
    """A missing key is told at the table that lacks it."""
    document = parse_document(TOML, "toml", "job.toml")
    assert document.where("model.path") == "job.toml:2"
    assert document.where("data.datasets[1].path") == "job.toml:15"
    assert document.where("ema.decay") == "job.toml"


@pytest.mark.parametrize(
    ("text", "format", "code", "line"),
    [
        ("[model]\nfamily = flux\n", "toml", "CFG003", 2),
        ("[model]\nfamily = 'a'\nfamily = 'b'\n", "toml", "CFG003", 3),
        ("[model\n", "toml", "CFG003", 1),
        ("a: [1\nb: 2\n", "yaml", "CFG003", 2),
        ("model:\n  family: a\n  family: b\n", "yaml", "CFG003", 3),
        ('{\n"a": 1,\n}', "json", "CFG003", 3),
        ('{"a": {\n"b": 1,\n"b": 2}}', "json", "CFG003", 3),
        ("[1, 2]", "json", "CFG003", 1),
        ("  \n", "toml", "CFG002", None),
    ],
)
def test_bad_syntax_names_its_line(text: str, format: str, code: str, line: int | None) -> None:
    """Repeated keys count as bad syntax in all formats: one value would be lost."""
    with pytest.raises(ConfigError) as caught:
        parse_document(text, format, "job")
    assert caught.value.finding.code == code
    assert caught.value.finding.where == (f"job:{line}" if line else "job")


@pytest.mark.parametrize("text", ["1e-4", "1.5e-4", "-2E+3", "1.0e-4"])
def test_yaml_reads_exponents_as_numbers(text: str) -> None:
    """YAML 1.1 would read 1e-4 as a text, and learning rates are written so."""
    value = parse_document(f"lr: {text}\n", "yaml", "job").data["lr"]
    assert value == float(text)


def test_a_text_that_looks_like_a_number_stays_a_text() -> None:
    """Quotes are respected, and a flavour 1.5 in quotes is a text."""
    data = parse_document('a: "1e-4"\nb: "1.5"\nc: e1\n', "yaml", "job").data
    assert data == {"a": "1e-4", "b": "1.5", "c": "e1"}


@pytest.mark.parametrize(
    ("text", "format"),
    [('{"a": 1}', "json"), ("[model]\n", "toml"), ("a.b = 1\n", "toml"), ("a:\n  b: 1\n", "yaml")],
)
def test_the_format_is_guessed(text: str, format: str) -> None:
    """Standard input has no file ending."""
    assert guess_format(text) == format


def test_unreadable_files_are_findings(tmp_path: Path) -> None:
    """Missing, a folder, not UTF-8: CFG001 with the reason."""
    binary = tmp_path / "b.toml"
    binary.write_bytes(b"\xff\xfe")
    for path in (tmp_path / "none.toml", tmp_path, binary):
        with pytest.raises(ConfigError) as caught:
            read_document(path)
        assert caught.value.finding.code == "CFG001"
