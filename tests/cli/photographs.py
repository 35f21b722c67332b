"""Pictures that stand in for someone's photographs: birds of eight species, with known limits.

Families differ in shape, genera in the direction of a coarse stripe, species in that of a fine one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 96, 112
# Pixels of a period: two pixels of it are left at 16 px, and at 38 px, of the shorter side.
COARSE, FINE = 12, 5
RED, BLUE = np.array([1.0, 0.5, 0.0]), np.array([0.0, 0.5, 1.0])
# The table of docs/tutorial.md: species of a genus, genera of a family, in pairs.
SPECIES = (
    "Larus_argentatus",
    "Larus_fuscus",
    "Sterna_hirundo",
    "Sterna_paradisaea",
    "Parus_major",
    "Parus_minor",
    "Poecile_montanus",
    "Poecile_palustris",
)


def photograph(species: int, number: int) -> NDArray[np.uint8]:
    """(96, 112, 3) uint8: a striped bird in uneven light before a noisy background."""
    random = np.random.default_rng([species, number])
    family, genus, kind = species // 4, species // 2 % 2, species % 2
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    dy, dx = y - HEIGHT / 2 - random.normal(0, 3), x - WIDTH / 2 - random.normal(0, 3)
    size = random.uniform(38, 44)
    far = np.hypot(dy, dx) if family else np.maximum(abs(dy), abs(dx)) / 0.85
    bird = far < size
    coarse = np.sin(2 * np.pi * (dy if genus else dx) / COARSE + random.uniform(0, 6))
    fine = np.sin(2 * np.pi * (dy if kind else dx) / FINE + random.uniform(0, 6))
    # Without light of its own one picture would be a near-duplicate of another.
    spots = Image.fromarray(random.uniform(60, 160, (4, 4)).astype(np.float32))
    light = np.asarray(spots.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))[..., None]
    pixels = light + random.normal(0, 12, (HEIGHT, WIDTH, 3))
    pixels[bird] = (75 + light / 2 + random.normal(0, 6, pixels.shape))[bird]
    pattern = 45 * (np.sign(coarse)[..., None] * RED + np.sign(fine)[..., None] * BLUE)
    pixels[bird] += pattern[bird]
    return pixels.clip(0, 255).astype(np.uint8)


def take_photographs(folder: Path, count: int, first: int = 0) -> None:
    """``count`` pictures a species, one folder a species."""
    for position, name in enumerate(SPECIES):
        (folder / name).mkdir(parents=True)
        for number in range(first, first + count):
            picture = Image.fromarray(photograph(position, number))
            picture.save(folder / name / f"IMG_{number:04d}.jpg", quality=92)
