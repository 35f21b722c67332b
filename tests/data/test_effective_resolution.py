"""Enlarged and blurred images are told; the measure has its formula's shapes and odd inputs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from benchmarks import effective
from benchmarks.photographs import photograph
from c2f_data.decode import Pixels, decode_file
from c2f_data.effective_resolution import (
    MIDDLES,
    _response,
    effective_resolution,
    log_spectrum,
)

# What is drawn or taken: a power law, with nothing sharper than its pixels.


def cloud(seed: int, exponent: float = 2.4, size: int = 320) -> Pixels:
    """Noise whose power falls as a power law, in two dimensions, up to the last frequency."""
    random = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)
    radius = np.hypot(fy, fx)
    radius[0, 0] = 1
    phases = np.exp(2j * np.pi * random.random((size, size // 2 + 1)))
    image = np.fft.irfft2(phases * radius ** (-(exponent + 1) / 2), (size, size))
    image = 128 + 45 * image / image.std()
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize("kernel", effective.KERNELS)
@pytest.mark.parametrize("share", [0.12, 0.25, 0.5])
def test_the_kept_share_is_found_again(kernel: str, share: float) -> None:
    for seed in range(3):
        spoilt = effective.enlarged(cloud(seed), share, kernel, "nothing", seed)
        found = effective_resolution(spoilt)
        assert found.less, (seed, found)
        assert found.resolution == pytest.approx(share * 320, rel=0.2), seed


@pytest.mark.parametrize("exponent", [1.6, 2.0, 2.4, 2.8])
def test_a_power_law_to_the_end_is_no_sign(exponent: float) -> None:
    for seed in range(5):
        assert not effective_resolution(cloud(seed, exponent)).less
        noisy = cloud(seed, exponent) + np.random.default_rng(seed).normal(0, 4, (320, 320, 3))
        assert not effective_resolution(np.clip(noisy, 0, 255).astype(np.uint8)).less


def test_a_soft_background_is_no_sign_where_something_is_sharp() -> None:
    pixels = cloud(0)
    soft = np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(3)))
    assert effective_resolution(soft).less
    soft[80:240, 80:240] = pixels[80:240, 80:240]
    assert not effective_resolution(soft).less


def test_small_flat_and_long_images_have_an_answer() -> None:
    for shape in ((1, 1), (127, 500), (128, 128), (129, 900), (600, 140)):
        flat = effective_resolution(np.full((*shape, 3), 77, np.uint8))
        assert (flat.side, flat.resolution, flat.less) == (min(shape), min(shape), False)
        random = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
        assert not effective_resolution(random).less


def test_the_kernels_responses_are_their_formulas() -> None:
    """Closed forms: a triangle's sinc squared; all are 1 at 0, half or less at the old limit."""
    frequency = np.linspace(0, 2, 41)
    np.testing.assert_allclose(_response("bilinear", frequency), np.sinc(frequency) ** 2, atol=2e-3)
    for kernel in ("bilinear", "bicubic", "lanczos"):
        at = _response(kernel, np.array([0.0, 0.5, 1.0, 2.0]))
        assert at[0] == pytest.approx(1)
        assert 0.35 < at[1] < 0.6
        np.testing.assert_allclose(at[2:], 0, atol=0.02)


def test_the_spectrum_of_a_power_law_has_its_slope() -> None:
    """Rows of a field with power f^-(a + 1) in two dimensions have f^-a, up to the window."""
    for exponent in (1.6, 2.4):
        spectra = [log_spectrum(cloud(seed, exponent)) for seed in range(4)]
        mean = np.mean([each for each in spectra if each is not None], axis=0)
        middle = (MIDDLES > 0.05) & (MIDDLES < 0.3)
        slope, _ = np.polyfit(np.log10(MIDDLES[middle]), mean[middle], 1)
        assert slope == pytest.approx(-exponent, abs=0.35)


def test_real_photographs(shared: Path) -> None:
    """False alarms and estimates on some of cub20; the benchmark has more."""
    files = sorted((shared / "data/cub20/CUB_200_2011").rglob("*.jpg"))[::45]
    photographs = [decode_file(path).pixels for path in files]
    alarms = [effective_resolution(pixels).less for pixels in photographs]
    assert sum(alarms) <= 0.12 * len(alarms)
    for kernel in effective.KERNELS:
        found = [
            effective_resolution(effective.enlarged(pixels, 0.12, kernel, "nothing", 0))
            for pixels in photographs[:8]
        ]
        assert all(each.less for each in found)
        ratios = [each.resolution / (0.12 * each.side) for each in found]
        assert np.median(ratios) == pytest.approx(1, abs=0.15)


def test_the_benchmark_prints_what_it_measures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(effective, "SHARES", (0.25,))
    monkeypatch.setattr(effective, "demo_images", lambda count: (cloud(i) for i in range(count)))
    monkeypatch.setattr(sys, "argv", ["effective", "--json", "--images", "2"])
    effective.main()
    (report,) = json.loads(capsys.readouterr().out)["reports"]
    assert (report["checked"], report["spoilt"], report["false_alarms"]) == (10, 2, 0.0)
    assert len(report["rows"]) == 9
    for row in report["rows"]:
        if row["afterwards"] == "nothing":
            assert row["alarms"] == 1
            assert row["median"] == pytest.approx(1, abs=0.1)
    monkeypatch.setattr(sys, "argv", ["effective", "--images", "1"])
    effective.main()
    assert "false alarms 0.0% of 5" in capsys.readouterr().out


def test_made_photographs_raise_no_alarm() -> None:
    assert not any(effective_resolution(photograph(i)).less for i in range(6))
