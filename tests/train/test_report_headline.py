"""The first sentence in every outcome."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import report_samples as samples

from c2f_data.calibration import CalibrationResult
from c2f_data.curve import Outcome
from c2f_train.report.headline import headline


@pytest.fixture(scope="module")
def answered() -> CalibrationResult:
    return samples.calibration(samples.taxonomy(), n=600)


def first(measured: CalibrationResult, *changes: dict[str, Any]) -> str:
    crossings = [
        replace(c, **change)
        for c, change in zip(measured.crossings, [*changes, {}, {}], strict=False)
    ]
    sentence = headline(replace(measured, crossings=tuple(crossings)), [])[0]
    return sentence.replace("\N{NO-BREAK SPACE}", " ")


KNOWN: dict[str, Any] = {"resolution": 112, "interval_low": 104, "interval_high": 121}
COARSE: dict[str, Any] = {"resolution": 40, "interval_low": 37, "interval_high": 45}
NONE: dict[str, Any] = {"resolution": None, "interval_low": None, "interval_high": None}


@pytest.mark.parametrize(
    ("species", "genus", "words"),
    [
        (
            KNOWN,
            COARSE,
            "species can be told down to 112 px (104–121) and genera down to 40 px (37–45).",
        ),
        (
            KNOWN | {"interval_high": None},
            COARSE | {"interval_low": None},
            "species can be told down to 112 px (104 or more) and genera down to 40 px "
            "(45 or less).",
        ),
        (
            KNOWN | {"interval_low": None, "interval_high": None},
            COARSE | {"interval_low": 40, "interval_high": 40},
            "species can be told down to 112 px and genera down to 40 px (40).",
        ),
        (
            KNOWN,
            COARSE | {"outcome": Outcome.BELOW_AT_START},
            "species can be told down to 112 px (104–121) and genera no further.",
        ),
        (
            KNOWN | {"outcome": Outcome.NOT_MONOTONE},
            COARSE,
            "species can be told down to 112 px (104–121) and genera down to 40 px (37–45); "
            "species can be told again further down, so look at the curve first.",
        ),
        (
            KNOWN | {"limited_by_input": True},
            COARSE,
            "species can be told down to 112 px (104–121) and genera down to 40 px (37–45); "
            "for species the limit may be the network’s input, not the images.",
        ),
        (
            KNOWN,
            NONE | {"outcome": Outcome.NEVER_BELOW},
            "species can be told down to 112 px (104–121); genera can still be told at the lowest "
            "resolution measured, 12 px.",
        ),
        (
            NONE | {"outcome": Outcome.BELOW_AT_NATIVE},
            NONE | {"outcome": Outcome.BELOW_AT_NATIVE},
            "species and genera stay below 80 % accuracy even at native resolution.",
        ),
        (
            NONE | {"outcome": Outcome.BELOW_AT_NATIVE},
            COARSE,
            "genera can be told down to 40 px (37–45); species stay below 80 % accuracy even at "
            "native resolution.",
        ),
    ],
)
def test_the_answer_in_one_sentence(
    answered: CalibrationResult, species: dict[str, Any], genus: dict[str, Any], words: str
) -> None:
    assert first(answered, species, genus) == f"On these 600 images {words}"


def test_what_the_brackets_are(answered: CalibrationResult) -> None:
    open_ended = {"interval_low": None, "interval_high": None}
    crossings = tuple(replace(c, **open_ended) for c in answered.crossings)
    text = headline(replace(answered, crossings=crossings), [])[1]
    assert "interval of these resolutions is not determined by these images" in text
    one = (crossings[0], *answered.crossings[1:])
    text = headline(replace(answered, crossings=one), [])[1]
    assert text.startswith("In brackets: ")
    assert "For species it is not determined." in text
