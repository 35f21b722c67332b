"""The network's input made on a device: the processor's pixels, bit for bit, and its answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from train_samples import CPU, make_striped

from c2f_data.predictions import read_predictions
from c2f_data.resample import ResampleSpec
from c2f_data.resample_spec import Fit, Reduction
from c2f_train import device_input, measurement
from c2f_train.calibrate import CalibrateConfig, calibrate
from c2f_train.device_input import DeviceInput, HostInput, gives_the_same, network_input
from c2f_train.progress import Silent

CUDA = torch.device("cuda")
CONFIG = CalibrateConfig(
    thresholds=(("species", 0.8), ("genus", 0.8)),
    images="test",
    backbone="stripes",
    input_size=64,
    sweep=(48, 36, 28, 16, 8, 6, 4, 3, 2),
    full_curve=True,
    precision="float32",
)


def check_same(
    spec: ResampleSpec, sizes: list[tuple[int, int]], seed: int, device: torch.device
) -> None:
    """Noise of these sizes; the extremes alone in every second picture, where rounding clips."""
    random = np.random.default_rng(seed)
    pictures = [
        random.choice(np.array([0, 255] if i % 2 else range(256), np.uint8), (*size, 3))
        for i, size in enumerate(sizes)
    ]
    host, other = HostInput(spec, CPU), DeviceInput(spec, device)
    expected = host.batch([host.prepare(p) for p in pictures])
    made = other.batch([other.prepare(p) for p in pictures])
    assert made.shape == (len(sizes), 3, spec.crop, spec.crop)
    assert made.dtype is torch.uint8
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(made.cpu(), expected)


SIDES = st.integers(2, 90)


@given(
    st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=5),
    st.sampled_from(["bicubic", "bilinear"]),
    st.sampled_from(["shorter", "squash"]),
    st.integers(8, 64),
    st.integers(0, 99),
)
@settings(max_examples=60)
def test_the_same_pixels_bit_for_bit(
    sizes: list[tuple[int, int]], kernel: str, fit: Fit, crop: int, seed: int
) -> None:
    """Larger images than the input are there, too: they are made smaller by the processor."""
    spec = ResampleSpec.for_input(crop, fit, Reduction(filter=kernel))  # type: ignore[arg-type]
    check_same(spec, sizes, seed, CPU)


@pytest.mark.parametrize("kernel", ["bicubic", "bilinear"])
def test_the_same_pixels_at_the_size_of_the_paper(kernel: str) -> None:
    spec = ResampleSpec.for_input(448, "shorter", Reduction(filter=kernel))  # type: ignore[arg-type]
    check_same(spec, [(12, 16), (333, 250), (512, 683), (16, 12), (12, 16), (600, 700)], 1, CPU)


def test_the_processor_works_where_there_is_no_gpu_or_no_such_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = ResampleSpec.for_input(64)
    assert isinstance(network_input(spec, CPU), HostInput)
    assert gives_the_same(spec, CPU)
    # What a GPU would be asked, with the processor in its place.
    monkeypatch.setattr(device_input, "gives_the_same", lambda *_: True)
    assert isinstance(network_input(spec, CUDA), DeviceInput)
    pillow = spec.after(Reduction(filter="lanczos", engine="pillow"))
    assert isinstance(network_input(pillow, CUDA), HostInput)
    monkeypatch.setattr(device_input, "gives_the_same", lambda *_: False)
    assert isinstance(network_input(spec, CUDA), HostInput)


def test_another_kernel_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_input, "WEIGHT_LIMIT", 1 << 8)
    device_input._taps.cache_clear()
    assert not gives_the_same.__wrapped__(ResampleSpec.for_input(64), CPU)
    device_input._taps.cache_clear()


@pytest.mark.usefixtures("stripes")
def test_a_calibration_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make_striped(tmp_path / "images", train=8, test=3)
    calibrate(index, CONFIG, tmp_path / "host", CPU, Silent())
    monkeypatch.setattr(measurement, "network_input", DeviceInput)
    calibrate(index, CONFIG, tmp_path / "device", CPU, Silent())
    files = {p.relative_to(tmp_path / "host") for p in tmp_path.glob("host/*/predictions/*.h5")}
    assert len(files) == 1 + len(CONFIG.sweep)
    for file in files:
        assert (tmp_path / "host" / file).read_bytes() == (tmp_path / "device" / file).read_bytes()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_the_same_pixels() -> None:
    spec = ResampleSpec.for_input(224)
    assert isinstance(network_input(spec, CUDA), DeviceInput)
    check_same(spec, [(12, 16), (100, 75), (224, 300), (75, 100), (400, 300)], 2, CUDA)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.usefixtures("stripes")
def test_on_a_gpu_nearly_all_answers_are_the_processors(tmp_path: Path) -> None:
    """At least 99.5 % of images x resolutions x levels, by one classifier on both."""
    index = make_striped(tmp_path / "images", train=8, test=10)
    calibrate(index, CONFIG, tmp_path / "host", CPU, Silent())
    classifier = str(next(tmp_path.glob("host/*/classifier")))
    own = replace(CONFIG, classifier=classifier)
    calibrate(index, own, tmp_path / "device", CUDA, Silent())
    same = []
    for file in tmp_path.glob("host/*/predictions/*.h5"):
        host = read_predictions(file)
        device = read_predictions(next(tmp_path.glob(f"device/*/predictions/{file.name}")))
        assert host.image_ids == device.image_ids
        same.append(host.predicted == device.predicted)
    assert np.mean(same) >= 0.995
