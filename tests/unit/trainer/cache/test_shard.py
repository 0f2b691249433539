"""Shards: valid safetensors files whose entries can be cut out by byte range."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load

from trainer.cache.shard import pack, read_header, size_of, tensors_of
from trainer.cache.tensors import DTYPES, to_raw, unpack

shapes = st.lists(st.integers(0, 5), max_size=3)
tensors = st.builds(
    lambda dtype, shape: torch.arange(torch.Size(shape).numel()).reshape(shape).to(dtype),
    st.sampled_from(list(DTYPES.values())),
    shapes,
)
names = st.text("abcdefgh_", min_size=1, max_size=6)
entries = st.dictionaries(
    st.binary(min_size=16, max_size=16), st.dictionaries(names, tensors, max_size=4), max_size=4
)


def raws(given_entries):
    return {key: to_raw(entry) for key, entry in given_entries.items()}


@settings(max_examples=150, deadline=None)
@given(entries)
def test_entries_come_back_from_their_byte_ranges(given_entries):
    """Types, shapes and values survive, and no other byte is needed."""
    blob, places = pack(raws(given_entries))
    assert places.keys() == given_entries.keys()
    for key, entry in given_entries.items():
        place = places[key]
        part = blob[place.offset : place.offset + place.num_bytes]
        assert len(part) == size_of(place.layout)
        found = unpack(bytearray(part), place.layout)
        assert found.keys() == entry.keys()
        for name, tensor in entry.items():
            assert found[name].dtype == tensor.dtype
            assert torch.equal(found[name], tensor)


@settings(max_examples=100, deadline=None)
@given(entries)
def test_any_safetensors_reader_opens_a_shard(given_entries):
    """The reference implementation reads every tensor, whatever lengths lie next to it."""
    found = load(pack(raws(given_entries))[0])
    for key, entry in given_entries.items():
        for name, tensor in entry.items():
            assert torch.equal(found[f"{key.hex()}/{name}"], tensor)


def test_unknown_type_is_refused():
    """A type the format has no name for cannot be stored silently as another."""
    with pytest.raises(KeyError):
        to_raw({"x": torch.zeros(2, dtype=torch.complex64)})


@settings(max_examples=50, deadline=None)
@given(entries)
def test_header_says_where_each_tensor_lies(given_entries):
    """What the index knows of an entry can be compared with what the file says of it."""
    blob, places = pack(raws(given_entries))
    base, header = read_header(blob)
    for key, place in places.items():
        for name, tensor in tensors_of(key, place.layout, place.offset - base).items():
            assert header[name] == tensor


@pytest.mark.parametrize(
    "layout", ["", "{}1", '[["x", "F99", [1]]]', '[["x", "F32", [-1]]]', '[["x", "F32"]]', "[1]"]
)
def test_layout_that_is_none_is_refused(layout):
    """An index row from elsewhere cannot make a reader cut beyond its bytes."""
    with pytest.raises(ValueError):
        size_of(layout)
