"""A crop keeps the largest face: found in a real photograph, whatever its size and place."""

from __future__ import annotations

import builtins
import threading
from pathlib import Path

import pytest
from PIL import Image

from trainer.data import faces
from trainer.data.faces import find_face
from trainer.data.geometry import GeometrySpec, place
from trainer.errors import ConfigError

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "faces" / "collins.jpg"
FACE = (86, 31, 140, 85)  # left, top, right, bottom in the photograph


@pytest.fixture
def portrait() -> Image.Image:
    pytest.importorskip("cv2")
    return Image.open(GOLDEN).convert("RGB")


@pytest.mark.parametrize("scale", [1, 2, 6])
def test_the_face_of_a_portrait_is_found(portrait: Image.Image, scale: int) -> None:
    """Its centre lies in the middle of the face, at every size of the picture."""
    focus = find_face(portrait.resize((portrait.width * scale, portrait.height * scale)))
    assert focus is not None
    x, y = focus[0] * portrait.width, focus[1] * portrait.height
    assert abs(x - (FACE[0] + FACE[2]) / 2) < 8
    assert abs(y - (FACE[1] + FACE[3]) / 2) < 8


def test_the_largest_face_counts(portrait: Image.Image) -> None:
    """A smaller copy beside the portrait does not draw the crop to itself."""
    wide = Image.new("RGB", (portrait.width * 2, portrait.height), "grey")
    wide.paste(portrait.resize((160, 160)), (0, 0))
    wide.paste(portrait, (portrait.width, 0))
    focus = find_face(wide)
    assert focus is not None
    assert focus[0] > 0.5


def test_a_picture_without_a_face_has_no_focus() -> None:
    """Also when it is tiny, or a line."""
    pytest.importorskip("cv2")
    for size in ((400, 300), (1, 1), (3000, 2)):
        assert find_face(Image.new("RGB", size, "white")) is None


def test_the_crop_holds_the_face(portrait: Image.Image) -> None:
    """From a wide picture with the portrait at its right end a square is cut that shows it."""
    wide = Image.new("RGB", (1024, 256), "grey")
    wide.paste(portrait, (700, 0))
    spec = GeometrySpec(edge=256, align=8, aspect="square", position="face")
    box = place(*wide.size, spec, focus=find_face(wide)).box
    assert box[0] <= 700 + FACE[0]
    assert box[2] >= 700 + FACE[2]


def test_threads_agree(portrait: Image.Image) -> None:
    """Pictures are read by several threads; each has a detector of its own."""
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(find_face(portrait))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [find_face(portrait)] * 4


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding names the extra that holds it."""
    real = builtins.__import__

    def without(name: str, *args, **kwargs):
        if name == "cv2":
            raise ModuleNotFoundError(name="cv2")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(faces, "_own", threading.local())
    with pytest.raises(ConfigError) as caught:
        faces.demand_detector()
    assert caught.value.findings[0].code == "RUN013"
    assert "[faces]" in caught.value.findings[0].fix


def test_a_package_without_the_detector_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV 5 can be imported, but finds no faces."""
    cv2 = pytest.importorskip("cv2")
    monkeypatch.delattr(cv2, "CascadeClassifier")
    monkeypatch.setattr(faces, "_own", threading.local())
    with pytest.raises(ConfigError, match="no face detector"):
        faces.demand_detector()
