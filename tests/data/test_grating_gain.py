"""The gain of the canonical reduction on a grating: what makes the demo's limits known exactly.

Reducing by a factor s with the antialiased bicubic filter (Keys, a = -1/2) widens the kernel by s.
With f = cycles of the grating per pixel of the reduced image, its gain is the kernel's transform

    H(f) = [3 (sinc^2 f - sinc 2f) - (3 sinc^2 2f - 2 sinc 2f - sinc 4f)] / (pi f)^2

with sinc t = sin(pi t) / (pi t). At r_s a period is two pixels, f = 1/2: H = 48 / pi^4 = 0.493. At
0.6 r_s, f = 5/6: 0.016. At 0.5 r_s, f = 1: 0.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

SIDE, CONTRAST = 256, 100.0
PERIODS = (6.0, 7.0, 8.0)


def _keys_transfer(f: float) -> float:
    sinc_2 = np.sinc(2 * f)
    outer = 3 * sinc_2**2 - 2 * sinc_2 - np.sinc(4 * f)
    return float((3 * (np.sinc(f) ** 2 - sinc_2) - outer) / (math.pi * f) ** 2)


def _gain(period: float, r: int, *, antialias: bool, along_x: bool = True) -> float:
    """Amplitude after over amplitude before, root mean square over 16 phases."""
    energies = []
    for phase in np.linspace(0.0, 2.0 * math.pi, 16, endpoint=False):
        wave = 127.5 + CONTRAST * np.cos(2.0 * math.pi * np.arange(SIDE) / period + phase)
        row = torch.from_numpy(wave.round().astype(np.uint8))
        plane = row.expand(SIDE, SIDE) if along_x else row[:, None].expand(SIDE, SIDE)
        image = plane.expand(1, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
        small = interpolate(image, (r, r), mode="bicubic", antialias=antialias)
        inner = small[0, 0, r // 8 : -r // 8, r // 8 : -r // 8].double() - 127.5
        energies.append(2.0 * float((inner * inner).mean()))
    return math.sqrt(float(np.mean(energies))) / CONTRAST


@pytest.mark.parametrize(("share", "expected"), [(1.0, 48 / math.pi**4), (0.6, 0.016), (0.5, 0.0)])
def test_the_transfer_function_gives_the_gains_the_docs_state(
    share: float, expected: float
) -> None:
    assert _keys_transfer(0.5 / share) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("along_x", [True, False])
@pytest.mark.parametrize("share", [1.5, 1.0, 0.8])
def test_the_reduction_follows_the_transfer_function(
    period: float, along_x: bool, share: float
) -> None:
    r = round(share * 2 * SIDE / period)
    expected = _keys_transfer(SIDE / period / r)
    assert _gain(period, r, antialias=True, along_x=along_x) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("period", PERIODS)
def test_the_grating_is_gone_below_the_limit(period: float) -> None:
    limit = 2 * SIDE / period
    assert _gain(period, round(limit), antialias=True) == pytest.approx(0.46, abs=0.04)
    assert _gain(period, round(0.6 * limit), antialias=True) <= 0.05
    assert _gain(period, round(0.5 * limit), antialias=True) <= 0.015


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("share", [1.0, 0.6, 0.5])
def test_without_antialiasing_the_grating_keeps_its_contrast(period: float, share: float) -> None:
    gain = _gain(period, round(share * 2 * SIDE / period), antialias=False)
    assert gain == pytest.approx(1.0, abs=0.1)
