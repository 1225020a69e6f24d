"""The thumbnails example: all images get theirs, once, also when its processes are killed."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

Image = pytest.importorskip("PIL.Image", reason="Pillow is in the extra `examples`")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder of real PNGs of several sizes, with a file that is none."""
    rng = random.Random(5)
    for n in range(12):
        size = (rng.randint(150, 900), rng.randint(150, 900))
        Image.effect_noise(size, 60).save(tmp_path / f"photo{n:02}.png")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "examples.thumbnails", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("chaos", [(), ("--chaos", "0.2")])
def test_every_image_gets_its_thumbnail(folder, chaos):
    done = run(folder, "--size", 64, *chaos)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("12 made, 0 were there, 0 failed")
    made = sorted((folder / "thumbnails").glob("*.png"))
    assert len(made) == 12
    for path in made:
        with Image.open(path) as picture:
            assert max(picture.size) == 64
            assert picture.format == "PNG"
    assert not list((folder / "thumbnails").glob("*.unfinished"))


@pytest.mark.slow
def test_what_is_there_is_not_made_again_and_a_broken_image_is_said(folder):
    run(folder, "--size", 64)
    (folder / "broken.png").write_bytes(b"no image")
    done = run(folder, "--size", 64)
    assert done.returncode == 1
    assert done.stdout.startswith("0 made, 12 were there, 1 failed")
    assert "UnidentifiedImageError" in done.stderr
