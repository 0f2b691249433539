"""Where a LyCORIS adapter acts: classes of modules, names, and what differs between them."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

import pytest

from tests.support.families import KINDS, tiny_config, tiny_family
from trainer import catalog
from trainer.adapters.lycoris.place import places
from trainer.catalog.facts import USUAL_LYCORIS
from trainer.errors import ConfigError


def found(kind: str, path, facts=None, **adapter):
    family = tiny_family(kind, path, "denoiser")
    if facts is not None:
        family.facts = facts
    config = tiny_config(kind, path, adapter={"kind": "lycoris"} | adapter)
    return {p.layer.name: p.form for p in places(config.adapter, family)}


@pytest.mark.parametrize("kind", KINDS)
def test_class_names_are_those_of_the_model(kind, tiny_model):
    """Every preset of a family finds layers, and each class that it names is there."""
    family = tiny_family(kind, tiny_model(kind), "denoiser")
    here = {type(module).__name__ for module in family.denoiser.modules()}
    for preset, classes in catalog.family_facts(kind).lycoris_presets.items():
        for pattern in classes:
            assert any(fnmatchcase(name, pattern) for name in here), (preset, pattern)
        assert found(kind, tiny_model(kind), preset=preset)


@pytest.mark.parametrize("kind", ["sd1x", "sdxl", "sd3", "flux", "pixart"])
def test_a_family_without_an_entry_is_served_as_well(kind, tiny_model):
    """Names that end in Attention and FeedForward stand for what the entries spell out."""
    facts = replace(catalog.family_facts(kind), lycoris_targets={})
    assert facts.default_lycoris == "attention+ffs"
    for preset in USUAL_LYCORIS:
        assert found(kind, tiny_model(kind), facts=facts, preset=preset) == found(
            kind, tiny_model(kind), preset=preset
        )


def test_attention_alone_has_fewer_layers(tiny_model):
    """The presets differ, and only layers inside modules of their classes are in them."""
    attention = found("flux", tiny_model("flux"), preset="attention")
    both = found("flux", tiny_model("flux"))
    assert attention.keys() < both.keys()
    assert all(".attn." in name for name in attention)
    assert any(".ff." in name for name in both)


def test_modules_by_class_and_layers_by_name(tiny_model):
    """The user's own choice in place of a preset, less what is excluded."""
    ff = found("flux", tiny_model("flux"), lycoris={"modules": ["Feed*"]})
    assert ff
    assert all(".ff" in name for name in ff)
    named = found("flux", tiny_model("flux"), targets=["to_q", "to_k"], exclude=["to_k"])
    assert {name.rpartition(".")[2] for name in named} == {"to_q"}


def test_a_class_has_its_own_form(tiny_model):
    """Algorithm, rank, alpha and factor by class; a name's own rank wins over its class's."""
    own = [{"module": "FeedForward", "algo": "lokr", "rank": 2, "factor": 4}]
    forms = found(
        "flux",
        tiny_model("flux"),
        rank=8,
        preset="attention",
        overrides=[{"module": "ff_context.net.2", "rank": 6}],
        lycoris={"algo": "loha", "overrides": own},
    )
    for name, form in forms.items():
        inside = ".ff" in name
        assert form.algo == ("lokr" if inside else "loha")
        assert form.rank == (6 if "ff_context.net.2" in name else 2 if inside else 8)
        assert form.alpha == form.rank
    assert {form.factor for name, form in forms.items() if ".ff" in name} == {4}


@pytest.mark.parametrize(
    ("adapter", "where"),
    [
        ({"lycoris": {"modules": ["Attention"]}}, "adapter.lycoris.modules"),
        (
            {"lycoris": {"overrides": [{"module": "Attention", "rank": 2}]}},
            "adapter.lycoris.modules",
        ),
        ({"exclude": [".*"]}, "adapter.preset"),
    ],
)
def test_nothing_to_act_on_is_refused(adapter, where, tiny_model):
    """A class that this model does not have is an error with the classes that it has: the name
    from another family would otherwise silently adapt nothing."""
    with pytest.raises(ConfigError) as caught:
        found("flux", tiny_model("flux"), **adapter)
    assert caught.value.finding.code == "LOR011"
    assert caught.value.finding.where == where
    assert "FluxAttention" in caught.value.finding.fix


def test_a_model_without_such_classes_is_refused(tiny_model):
    """The usual patterns that match nothing are an error too."""
    facts = replace(catalog.family_facts("flux"), lycoris_targets={"attention": ("*Mixer",)})
    with pytest.raises(ConfigError, match=r"\*Mixer"):
        found("flux", tiny_model("flux"), facts=facts)
