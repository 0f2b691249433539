"""Captions: each remark with what draws it, what does not, and its correction."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from trainer.config.schema.captions import CaptionConfig
from trainer.data.lint.captions import check_captions, is_tags
from trainer.data.lint.flag import Flag, Group, Sample
from trainer.data.lint.triggers import guessed, misspelt
from trainer.data.probe import Facts
from trainer.data.survey.tokens import Counter, estimated

WORDS = Counter(limit=20, exact=False, count=lambda texts: [estimated(t) for t in texts])


@dataclass
class Plain:
    """The part of a dataset that the check looks at."""

    id: str = "set"
    role: str = "train"
    kind: str = "image"
    caption: CaptionConfig = field(default_factory=CaptionConfig)


def flags(
    captions: dict[str, str | list[str]], trigger: str | None = None, **dataset
) -> list[Flag]:
    samples = [
        Sample(0, name, Facts(8, 8), name.encode(), (c,) if isinstance(c, str) else tuple(c), None)
        for name, c in captions.items()
    ]
    group = Group(0, Plain(**dataset), None, False, samples)  # type: ignore[arg-type]
    return list(check_captions(group, WORDS, trigger))


def told(captions: dict[str, str | list[str]], code: str, **options) -> dict[str, str]:
    return {f.path: f.detail for f in flags(captions, **options) if f.code == code}


def many(count: int, text: str = "a {word} on a table near the window, number {n}") -> dict:
    nouns = ("cup", "lamp", "book", "plant", "clock")
    return {f"s{n}.png": text.format(word=nouns[n % 5], n=n) for n in range(count)}


@pytest.mark.parametrize(
    ("broken", "right"),
    [
        ("a cafÃ© by the sea", "a café by the sea"),
        ("itâ€™s a boat", "it’s a boat"),
        ("salt &amp; pepper", "salt & pepper"),
        ("a thing\ufffd of beauty", None),
        ("bell\x07 tower", None),
    ],
)
def test_encoding_errors_are_mended_where_that_is_possible(broken: str, right: str | None) -> None:
    """DAT084 carries the right caption, or none."""
    (flag,) = [f for f in flags({"a.png": broken}) if f.code == "DAT084"]
    assert flag.caption == ((right,) if right else None)


@pytest.mark.parametrize(
    "text", ["Ångström café", "naïve Zoë", "Âge d’or", "日本の猫", "a & b", "père “Noël”"]
)
def test_ordinary_letters_are_no_encoding_error(text: str) -> None:
    """Accents, quotes and other scripts are fine."""
    assert told({"a.png": text}, "DAT084") == {}


def test_shared_captions_need_a_share_and_a_number() -> None:
    """A fifth of the samples, and at least five."""
    alike = {f"x{n}.png": "a cup" for n in range(6)}
    assert set(told(many(18) | alike, "DAT085")) == set(alike)
    assert told(many(40) | alike, "DAT085") == {}
    assert told({f"x{n}.png": "a cup" for n in range(4)}, "DAT085") == {}


def test_captions_that_are_prompts_or_names_are_meant_to_be_alike() -> None:
    """instanceprompt and filename draw no remark on sharing, style or names."""
    prompt = CaptionConfig(source="instanceprompt", prompt="a cup IMG_1234")
    captions = {f"IMG_{n}234.png": "a cup IMG_1234" for n in range(9)}
    assert {f.code for f in flags(captions, caption=prompt)} == set()


def test_the_longest_variant_counts() -> None:
    """Over the limit of the text encoder; one remark a sample."""
    long = " ".join(["word"] * 30)
    found = told({"a.png": ["short", long, long + " more"], "b.png": "short"}, "DAT086")
    assert found == {"a.png": f"about {estimated(long + ' more')} tokens of 20"}


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("1girl, blue hair, standing, park, smile", True),
        ("A girl with blue hair stands in a park and smiles.", False),
        ("a red car", None),
        ("In the evening, when the sun sets, people walk along the shore, talking.", None),
    ],
)
def test_tags_and_sentences(text: str, tags: bool | None) -> None:
    """What is short or between the two is neither."""
    assert is_tags(text) is tags


def test_mixed_style_flags_the_smaller_side() -> None:
    """From a tenth on."""
    sentences = many(30, "a {word} stands quietly on the old wooden table number {n}")
    tags = {f"t{n}.png": f"cup, table, {n}, indoors, wood" for n in range(5)}
    assert set(told(sentences | tags, "DAT087")) == set(tags)
    assert told(sentences | dict(list(tags.items())[:2]), "DAT087") == {}


def test_a_named_trigger_is_demanded_of_all() -> None:
    """Missing and misspelt captions are told apart; the misspelt ones are mended."""
    captions = {"a.png": "ohwx cat", "b.png": "Ohwx cat", "c.png": "ohwz cat", "d.png": "a cat"}
    found = {f.path: f for f in flags(captions, trigger="ohwx") if f.code == "DAT088"}
    assert {p: f.caption for p, f in found.items()} == {
        "b.png": ("ohwx cat",),
        "c.png": ("ohwx cat",),
        "d.png": None,
    }
    assert "missing" in found["d.png"].detail


def test_a_trigger_of_two_words() -> None:
    """Parts of as many words are compared."""
    assert misspelt("photo of Sks Dog, asleep", "sks dog") == "Sks Dog"
    assert misspelt("photo of a cat", "sks dog") is None


def test_a_trigger_is_guessed_when_nearly_all_have_it() -> None:
    """Not from few captions, not from ordinary words, not when all have it."""
    with_word = [f"ohwx on a table {n}" for n in range(30)]
    assert guessed([*with_word, "on a table"]) == "ohwx"
    assert guessed(with_word) is None or guessed(with_word) == "table"
    assert guessed([*with_word[:10], "on a table"]) is None
    assert guessed([f"the thing {n} in the {n} with" for n in range(40)] + ["x"]) in (None, "thing")


@pytest.mark.parametrize(
    ("name", "caption", "rest"),
    [
        ("IMG_1234.jpg", "a dog IMG_1234", ("a dog",)),
        ("dog.jpg", "dog.jpg, a brown dog", ("a brown dog",)),
        ("x/summer_2019_07.png", "a beach, summer_2019_07", ("a beach",)),
        ("DSC00042.jpg", "DSC00042", None),
    ],
)
def test_file_names_in_captions(name: str, caption: str, rest: tuple[str, ...] | None) -> None:
    """DAT089, with what is left without them."""
    (flag,) = [f for f in flags({name: caption}) if f.code == "DAT089"]
    assert flag.caption == rest


def test_a_word_that_is_also_the_name_is_no_leak() -> None:
    """dog.png with "a dog" is fine, and so is a short number."""
    assert told({"dog.png": "a dog", "12.png": "12 apples", "apple.png": "apple"}, "DAT089") == {}
