"""A file over ranges reads as the bytes it stands for, with few requests."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from trainer.data.pixels import picture_size, read_picture
from trainer.data.sources import ranged
from trainer.data.sources.ranged import FIRST, RangedFile


class Fetched:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.ranges: list[tuple[int, int]] = []

    def __call__(self, start: int, stop: int) -> bytes:
        self.ranges.append((start, stop))
        return self.data[start:stop]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(-1, 3000)),
        st.tuples(st.just("seek"), st.integers(0, 6000)),
        st.tuples(st.just("end"), st.integers(-5000, 0)),
    ),
    max_size=20,
)


@given(st.integers(0, 5000), steps)
def test_it_behaves_as_a_file(size, steps):
    """Any sequence of seeks and reads gives what a file in memory gives, whatever is kept."""
    data = bytes(n * 7 % 251 for n in range(size))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranged, "FIRST", 100)
        patch.setattr(ranged, "LARGEST", 400)
        patch.setattr(ranged, "KEPT", 500)
        ours, theirs = RangedFile(size, Fetched(data)), io.BytesIO(data)
        for step, number in steps:
            if step == "read":
                assert ours.read(number) == theirs.read(number)
            elif step == "seek":
                assert ours.seek(number) == theirs.seek(number)
            elif size + number >= 0:
                assert ours.seek(number, io.SEEK_END) == theirs.seek(number, io.SEEK_END)
            assert ours.tell() == theirs.tell()


def noisy(edge: int) -> bytes:
    """A PNG that does not compress."""
    import random

    pixels = random.Random(0).randbytes(edge * edge * 3)
    file = io.BytesIO()
    Image.frombytes("RGB", (edge, edge), pixels).save(file, "PNG")
    return file.getvalue()


def test_a_header_costs_one_small_request_and_a_picture_two():
    """Of a picture of 3 MB, the header reads 64 KB; decoding it takes the rest at once."""
    fetched = Fetched(noisy(1000))
    assert picture_size(RangedFile(len(fetched.data), fetched)) == (1000, 1000)
    assert fetched.ranges == [(0, FIRST)]
    fetched.ranges.clear()
    read_picture(RangedFile(len(fetched.data), fetched), "ffffff")
    assert len(fetched.ranges) <= 4
    assert sum(stop - start for start, stop in fetched.ranges) == len(fetched.data)


def test_reading_all_is_one_request():
    """As hashing a small object does."""
    fetched = Fetched(bytes(1 << 20))
    assert len(RangedFile(1 << 20, fetched).read()) == 1 << 20
    assert fetched.ranges == [(0, 1 << 20)]


def test_a_short_answer_is_an_error_not_an_end():
    """A truncated transfer must not look like a shorter file."""
    file = RangedFile(1000, lambda start, stop: b"x" * 10)
    with pytest.raises(OSError, match="10 of 1000"):
        file.read()
