"""From a caption file to all texts that a sample is shown with."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config.caption_language import fill, parse_filter, template_problem, tidy
from trainer.config.schema.captions import CaptionConfig, ShuffleConfig
from trainer.data.caption_orders import orders
from trainer.data.captions import (
    caption_file,
    drawn_caption,
    folder_as_text,
    name_as_text,
    parse_json,
    parse_text,
    variants,
)
from trainer.data.sources.base import VARIANT

fast = settings(deadline=None)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=[VARIANT]))
tags = st.lists(st.sampled_from(["cat", "dog", "blau", "桜", "é", "x"]), min_size=0, max_size=8)


def config(**values) -> CaptionConfig:
    return CaptionConfig(**values)


# --- caption files ---------------------------------------------------------------------------


def test_lines_of_a_text_file_are_captions():
    """Empty lines and a byte order mark are no captions; text may be of any language."""
    data = "\ufeff猫が寝ている\n\n  ein Hund \r\n".encode()
    stored, reason = parse_text(data, "a.txt")
    assert reason is None
    assert variants("a.png", stored, config()) == ("猫が寝ている", "ein Hund")
    assert variants("a.png", stored, config(split_lines=False)) == ("猫が寝ている\nein Hund",)


@pytest.mark.parametrize("data", [b"", b" \n\t\n", b"\xef\xbb\xbf"])
def test_a_file_without_text_is_a_missing_caption(data):
    """A file of length zero is no empty caption (as it is in other trainers)."""
    stored, reason = parse_text(data, "a.txt")
    assert stored is None
    assert reason == "a.txt is empty"
    assert variants("a.png", stored, config()) == ()


def test_what_is_no_utf8_is_told():
    """With the byte at which it ends to be text."""
    assert parse_text(b"abc\xff", "a.txt") == (None, "a.txt is not UTF-8 text (byte 3)")


@pytest.mark.parametrize(
    ("value", "columns", "expected"),
    [
        ("a cat", [], ("a cat",)),
        (["a cat", " ", 3, "a dog"], [], ("a cat", "a dog")),
        ({"caption": "a cat", "other": "no"}, [], ("a cat",)),
        ({"tags": ["cat", "grass"]}, [], ("cat, grass",)),
        ({"a": {"b": "deep"}}, ["a.b"], ("deep",)),
        ({"long": "a cat", "short": "cat"}, ["short", "long"], ("cat", "a cat")),
    ],
)
def test_captions_of_a_json_file(value, columns, expected):
    """A text, a list, or the named values of an object."""
    stored, reason = parse_json(json.dumps(value).encode(), "a.json", columns)
    assert reason is None
    assert variants("a.png", stored, config(source="json")) == expected


@pytest.mark.parametrize("data", [b"", b"{", b"{}", b"3", b'{"caption": ""}', b"[" * 100_000])
def test_a_json_file_without_captions_has_a_reason(data):
    """Broken, empty or absurdly nested: the sample has no caption, and no error escapes."""
    stored, reason = parse_json(data, "a.json", [])
    assert stored is None
    assert reason


def test_json_can_hold_what_no_file_can():
    """Half a surrogate pair and the character between variants are replaced."""
    stored, _ = parse_json(b'["\\ud83dcat", "a\\u001eb"]', "a.json", [])
    found = variants("a.png", stored, config(source="json"))
    assert found == ("\ufffdcat", "a b")
    assert "".join(found).encode()


def test_which_file_is_read():
    """The tag tells how, so that an index is not read by other rules than it was made by."""
    assert caption_file(config(source="filename")) is None
    text, other = caption_file(config()), caption_file(config(suffix=".caption"))
    one, two = (caption_file(config(source="json", column=c)) for c in ("a", "b"))
    found = [f for f in (text, other, one, two) if f]
    assert [f.suffix for f in found] == [".txt", ".caption", ".json", ".json"]
    assert len({f.tag for f in found}) == 4


# --- from source to variants -----------------------------------------------------------------


def test_the_steps_come_in_their_order():
    """Template, filters (which see the template), prompts (which filters do not touch), orders."""
    found = variants(
        "red_cats/tom_1.png",
        "ugly cat\nfat cat, ugly",
        config(
            template="{caption}, {folder}, {name}",
            filters=["ugly", r"s/tom (\d)/no. \1/"],
            prompt=["ugly sks", "xyz"],
            prepend=True,
        ),
    )
    assert found == (
        "ugly sks cat, red cats, no. 1",
        "ugly sks fat cat, red cats, no. 1",
        "xyz cat, red cats, no. 1",
        "xyz fat cat, red cats, no. 1",
    )


def test_a_caption_that_is_filtered_away_is_missing():
    """A prompt does not stand in for it."""
    cut = config(filters=["a cat"], prompt="sks", prepend=True)
    assert variants("a.png", "a cat", cut) == ()
    assert variants("a.png", "a cat\na dog", cut) == ("sks a dog",)


def test_prompts_are_variants():
    """One prompt or several for all samples; each is listed once."""
    prompts = config(source="instanceprompt", prompt=["a", "b", "a"], prepend=True)
    assert variants("x.png", None, prompts) == ("a", "b")


def test_names_become_words():
    """Of the file and of its innermost folder."""
    assert name_as_text("a/b/red__apple 2.v1.png") == "red apple 2.v1"
    assert folder_as_text("a/my_cats/x.png") == "my cats"
    assert folder_as_text("x.png") == ""
    framed = config(source="filename", template="{name}, in {folder}, {caption}")
    assert variants("dark_rooms/a_b.png", None, framed) == ("a b, in dark rooms, a b",)


@fast
@given(st.lists(texts, max_size=4), st.booleans(), tags)
def test_no_variant_is_empty_or_listed_twice(found, split, removed):
    """Whatever the file holds and the filters leave."""
    stored, _ = parse_text("\n".join(found).encode(), "a.txt")
    made = variants(
        "a.png", stored, config(split_lines=split, filters=removed, shuffle=ShuffleConfig())
    )
    assert all(text.strip() for text in made)
    assert len(set(made)) == len(made)


# --- templates -------------------------------------------------------------------------------


@fast
@given(texts, texts, texts.filter(str.strip))
def test_braces_in_a_caption_are_text(caption, name, folder):
    """What is filled in is never read as a template."""
    assert fill("{caption}", caption=caption, name=name, folder=folder) == caption.strip()
    assert fill("{{{name}}}", caption=caption, name=name, folder=folder) == f"{{{name}}}"


def test_without_a_folder_what_stood_around_it_goes():
    """No comma is left alone."""
    assert fill("a, {folder}, {caption}", caption="b", name="n", folder="") == "a, b"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{caption}", None),
        ("{{x}} {name}", None),
        ("{captoin}", "captoin"),
        ("{}", "no placeholder"),
        ("{caption.upper}", "no placeholder"),
        ("{caption!r}", "no format"),
        ("{caption:{name}}", "no format"),
        ("{caption", "cannot be read"),
        ("a photo", "all captions become the same"),
    ],
)
def test_what_is_wrong_with_a_template(template, problem):
    """A template that passes can always be filled in."""
    found = template_problem(template)
    assert (problem in found) if problem else found is None
    if found is None:
        assert fill(template, caption="c", name="n", folder="f")


# --- filters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "caption", "expected"),
    [
        ("ugly", "red, ugly, cat", "red, cat"),
        ("ugly", "ugly, cat", "cat"),
        ("ugly", "cat, ugly", "cat"),
        ("ugly", "an ugly cat", "an cat"),
        ("ugly", "a cat, ugly.", "a cat."),
        ("ugly", "Short. ugly. Long.", "Short. Long."),
        ("ugly", "odd  spaces ,kept", "odd  spaces ,kept"),
        ("ab", "aabb", ""),
        ("s/ugly", "s/ugly and s/more", "and s/more"),
        (r"s/\bcat\b/dog/", "cat category Cat", "dog category Cat"),
        (r"s/\bcat\b/dog/i", "cat category Cat", "dog category dog"),
        ("s/cat/dog", "cat, cat", "dog, dog"),
        ("s/cat/dog/g", "cat, cat", "dog, dog"),
        (r"s/(\w+), (\w+)/\2, \1/", "a, b", "b, a"),
        ("s/a|b//", "x, a, y", "x, y"),
        (r"s/a\/b/c\/d/", "a/b", "c/d"),
        (r"s/\\/x/", "a\\b", "axb"),
        ("s/ +/ /", "a   b ", "a b "),
        ("猫", "白い猫, 庭", "白い, 庭"),
    ],
)
def test_filters(text, caption, expected):
    """A text is removed and its traces tidied; a pattern is replaced, and nothing else changes."""
    assert parse_filter(text)(caption) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("s//x/", "pattern is empty"),
        ("s/(/x/", "no regular expression"),
        (r"s/a/\2/", "no regular expression|group"),
        (r"s/a/\g<x>/", "group"),
        ("s/a/b/x", "no flag"),
        ("s/a/b/c/", "more than three"),
        ("s/a{99999999999}/b/", "no regular expression"),
    ],
)
def test_a_broken_filter_is_refused(text, problem):
    """Before the first caption, with what is wrong."""
    with pytest.raises(ValueError, match=problem):
        parse_filter(text)


@fast
@given(texts.filter(str.strip), texts)
def test_a_removed_text_is_gone(removed, caption):
    """Also where its removal brought its parts together; removing it again changes nothing."""
    if removed.startswith("s/"):
        return
    once = parse_filter(removed)(caption)
    assert removed not in once
    assert parse_filter(removed)(once) == once
    if removed not in caption:
        assert once == caption


@fast
@given(st.text(" ,;.\n\tab", max_size=30))
def test_tidying_again_changes_nothing(caption):
    """And words are left as they are."""
    once = tidy(caption)
    assert tidy(once) == once
    assert [c for c in once if c in "ab"] == [c for c in caption if c in "ab"]


# --- orders ----------------------------------------------------------------------------------


@fast
@given(tags, st.integers(0, 9), st.integers(1, 9), st.booleans())
def test_an_order_keeps_all_tags_and_the_first_ones_in_place(listed, keep, count, original):
    """Nothing is lost or doubled, whatever is kept."""
    caption = ", ".join(listed)
    shuffle = ShuffleConfig(variants=count, keep=keep, include_original=original)
    made = orders(caption, shuffle)
    assert 1 <= len(made) <= count + original
    assert len(set(made)) == len(made)
    assert made == orders(caption, shuffle)
    for order in made:
        found = order.split(", ") if order else []
        assert sorted(found) == sorted(listed)
        assert found[:keep] == listed[:keep]
    if len(listed) - keep < 2:
        assert made == [caption]


def test_the_written_order_comes_first_or_not_at_all():
    """Exactly as it was written, spaces included; with ten tags chance does not bring it back."""
    caption = " ,".join("abcdefghij")
    made = orders(caption, ShuffleConfig(variants=5))
    assert made[0] == caption
    assert len(made) == 6
    assert caption not in orders(caption, ShuffleConfig(variants=5, include_original=False))


def test_as_many_orders_are_made_as_asked_for_or_as_there_are():
    """Of three tags there are five orders besides the written one, of equal tags none."""
    for asked, made in ((1, 2), (4, 5), (5, 6), (9, 6)):
        assert len(orders("a, b, c", ShuffleConfig(variants=asked))) == made
    assert orders("a, a, a", ShuffleConfig(variants=3)) == ["a, a, a"]
    assert len(orders("a, b", ShuffleConfig(variants=9, include_original=False))) == 2


def test_more_orders_do_not_change_the_first_ones():
    """Raising the count encodes only what is new."""
    few, many = (orders("a, b, c, d, e", ShuffleConfig(variants=n)) for n in (3, 9))
    assert many[: len(few)] == few


@pytest.mark.parametrize(
    ("separator", "caption", "parts"),
    [
        ("space", "red  fat cat", ["red", "fat", "cat"]),
        ("period", "A cat. It sits. 1.5 m tall.", ["A cat", "It sits", "1.5 m tall"]),
        ("period", "A cat. It sits", ["A cat", "It sits"]),
    ],
)
def test_words_and_sentences_can_be_shuffled(separator, caption, parts):
    """The period at the end stays at the end."""
    made = orders(caption, ShuffleConfig(variants=8, separator=separator, include_original=False))
    glue = {"space": " ", "period": ". "}[separator]
    for order in made:
        assert order.endswith(".") == caption.endswith(".")
        assert sorted(order.removesuffix(".").split(glue)) == sorted(parts)
    assert len(made) > 1


def test_orders_are_the_same_in_every_process():
    """The hash of a text differs between processes and must not decide anything."""
    program = (
        "from trainer.data.caption_orders import orders\n"
        "from trainer.config.schema.captions import ShuffleConfig\n"
        "print(orders('a, b, c, d, é', ShuffleConfig(variants=3)))"
    )
    made = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert made[0] == made[1]
    assert made[0].strip() == str(orders("a, b, c, d, é", ShuffleConfig(variants=3)))


# --- draws -----------------------------------------------------------------------------------


def test_every_variant_is_drawn_and_some_draws_are_dropped():
    """By seed, sample and visit alone."""
    drawn = [drawn_caption(["a", "b"], 0.25, seed=1, sample_id=2, visit=v) for v in range(2000)]
    assert drawn == [
        drawn_caption(["a", "b"], 0.25, seed=1, sample_id=2, visit=v) for v in range(2000)
    ]
    assert abs(drawn.count("") / 2000 - 0.25) < 0.04
    assert abs(drawn.count("a") / 2000 - 0.375) < 0.05
