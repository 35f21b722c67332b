"""The settings of a reduction: what is refused, what a file holds, what a fingerprint says."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from c2f_data.artefacts import fingerprint, from_plain, read_json, to_plain, write_json
from c2f_data.errors import ArtefactError, ConfigError
from c2f_data.resample_spec import (
    Filter,
    Reduction,
    ResampleSpec,
    default_engine,
)

ALL = Reduction(filter="lanczos", engine="pillow", noise=4.5, noise_seed=3, jpeg=40)


def test_what_existing_files_hold_keeps_its_fingerprint() -> None:
    """Shards and calibrations made before there were degradations stay valid."""
    plain = {
        "filter": "bicubic",
        "antialias": True,
        "rounding": "half up",
        "engine": "torch uint8",
    }
    assert to_plain(Reduction()) == plain
    whole = {**plain, "fit": "shorter", "enlarge_to": 512, "crop": 448}
    assert to_plain(ResampleSpec()) == whole
    assert from_plain(whole, ResampleSpec, "a file") == ResampleSpec()
    reduction = "8f3530c82159987f6cb9edf0821085d9d6f9aa0153f262083f990fa86ccb791c"
    assert fingerprint(Reduction()) == reduction
    chain = "93ec7420e89a689fba09a38bc03a49f6086dda36900039e8d9198459774d2aa7"
    assert fingerprint(ResampleSpec()) == chain
    squashed = "cbba68585f354cdac2c07a7fe752baa780c5ba34dc11a91fb0a94cd83758e907"
    assert fingerprint(ResampleSpec.for_input(224, "squash")) == squashed
    bilinear = "0c499ae61823f7bd05eb2a624136389827efb324251e89e8c92c43ccba66cc34"
    assert fingerprint(ResampleSpec(filter="bilinear")) == bilinear


@pytest.mark.parametrize(
    "part",
    [
        {"filter": "bilinear"},
        {"antialias": False},
        {"engine": "pillow"},
        {"filter": "box", "engine": "pillow"},
        {"filter": "lanczos", "engine": "pillow"},
        {"noise": 2.0},
        {"noise": 2.0, "noise_seed": 1},
        {"jpeg": 1},
        {"noise": 2.0, "jpeg": 1},
    ],
    ids=str,
)
def test_every_part_moves_the_fingerprint_and_comes_back(
    tmp_path: Path, part: dict[str, Any]
) -> None:
    spec = ResampleSpec(**part)
    others = {fingerprint(ResampleSpec()), fingerprint(ResampleSpec(noise=2.0, jpeg=2))}
    assert fingerprint(spec) not in others
    assert fingerprint(Reduction.of(spec)) != fingerprint(Reduction())
    write_json(tmp_path / "s.json", spec, schema="s", version=1)
    kept = read_json(tmp_path / "s.json", ResampleSpec, schema="s", version=1, maker="c2f")
    assert kept == spec


def test_equal_chains_have_equal_fingerprints() -> None:
    assert fingerprint(Reduction(noise=2)) == fingerprint(Reduction(noise=2.0))
    assert json.dumps(to_plain(Reduction(noise=2))["noise"]) == "2.0"


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"filter": "cubic"}, "filter 'cubic'"),
        ({"engine": "opencv"}, "engine 'opencv'"),
        ({"fit": "pad"}, "fit 'pad'"),
        ({"filter": "box"}, "filter box by engine torch uint8"),
        ({"filter": "lanczos"}, "filter lanczos by engine torch uint8"),
        ({"engine": "pillow", "antialias": False}, "without antialiasing"),
        ({"noise": 0.02}, "noise of 0.02 grey levels"),
        ({"noise": -3.0}, "noise of -3 grey levels"),
        ({"noise": 129.0}, "noise of 129 grey levels"),
        ({"noise": float("nan")}, "noise of nan"),
        ({"noise": 2.0, "noise_seed": -1}, "noise seed -1"),
        ({"noise": 2.0, "noise_seed": 2**63}, "noise seed"),
        ({"noise_seed": 1}, "noise seed 1 without noise"),
        ({"jpeg": 0}, "JPEG at quality 0"),
        ({"jpeg": 101}, "JPEG at quality 101"),
    ],
)
def test_what_makes_no_sense_is_refused(part: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        ResampleSpec(**part)
    assert caught.value.hint
    plain = {**to_plain(ResampleSpec()), **part}
    with pytest.raises(ArtefactError, match=r"f\.json"):
        from_plain(plain, ResampleSpec, "f.json")


@pytest.mark.parametrize("part", [{"noise": "3"}, {"noise": True}, {"jpeg": 40.5}, {"blur": 1}])
def test_a_file_of_other_types_is_refused(part: dict[str, Any]) -> None:
    with pytest.raises(ArtefactError, match=r"f\.json"):
        from_plain({**to_plain(ResampleSpec()), **part}, ResampleSpec, "f.json")


def test_a_chain_is_a_reduction_and_an_input_geometry() -> None:
    own = {field.name for field in fields(ResampleSpec)} - {f.name for f in fields(Reduction)}
    assert own == {"fit", "enlarge_to", "crop"}
    spec = ResampleSpec.for_input(224, "squash", ALL)
    assert (spec.enlarge_to, spec.crop, spec.fit) == (256, 224, "squash")
    assert Reduction.of(spec) == ALL
    assert spec.after(Reduction()) == ResampleSpec.for_input(224, "squash")
    assert ResampleSpec().after(Reduction.of(spec)) == ResampleSpec.for_input(448, reduction=ALL)


@pytest.mark.parametrize("kernel", ["bicubic", "bilinear", "lanczos", "box"])
def test_every_filter_has_an_engine(kernel: Filter) -> None:
    assert Reduction(filter=kernel, engine=default_engine(kernel)).filter == kernel
    assert (default_engine(kernel) == "pillow") == (kernel in ("lanczos", "box"))


def test_a_reduction_in_words() -> None:
    assert Reduction().described == "bicubic (torch uint8)"
    assert not Reduction().degrades
    assert ALL.described == (
        "lanczos (pillow), noise of 4.5 grey levels (seed 3), JPEG at quality 40"
    )
    assert replace(ALL, jpeg=None).degrades
    assert Reduction(jpeg=40).degrades


def test_the_settings_need_no_torch() -> None:
    code = (
        "import sys, c2f_data.resample_spec, c2f_data.degrade, c2f_data.shards.schema;"
        "print('torch' in sys.modules, 'scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
