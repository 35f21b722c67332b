"""Made-up calibrations and runs, shaped like real ones, for the tests of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np

from c2f_data.calibration import CalibrationResult, LevelResolution, Protocol
from c2f_data.curve import Crossing, accuracy_curve, locate_crossing, wilson
from c2f_data.predictions import Predictions
from c2f_data.provenance import Provenance
from c2f_data.resample import ResampleSpec, ResolutionSweep
from c2f_data.taxonomy import Taxonomy
from c2f_train.config import TrainConfig
from c2f_train.report import DatasetFacts, Failures, RunReport, build_report
from c2f_train.report.run_report import NOT_READ
from c2f_train.results import EpochMetrics, LevelAccuracy, RunResult

THREE = ("family", "genus", "species")
VOID = {"meta", "wbr", "img", "br", "hr", "link", "input"}


def provenance(*command: str) -> Provenance:
    return Provenance(
        command=("c2f", *command),
        versions={"c2f-toolkit": "0.1.0", "torch": "2.12.1", "numpy": "2.3.5"},
        python="3.11.2",
        system="Linux-6.1-x86_64",
        git_commit="0123456789ab",
        device="CPU, 2 threads",
        seed=0,
        created="2025-11-23T18:00:00+00:00",
    )


def taxonomy(levels: Sequence[str] = THREE, counts: Sequence[int] = (37, 124, 200)) -> Taxonomy:
    """A hierarchy with the given number of classes per level, coarse to fine."""
    paths = []
    for i in range(counts[-1]):
        path, position = [], i
        for level, count in zip(reversed(levels), reversed(counts), strict=True):
            position = min(position, count - 1)
            path.append(f"{level} {position}")
        paths.append(tuple(reversed(path)))
    return Taxonomy("sample", tuple(levels), tuple(paths), origin="taxonomies/cub.csv")


def predictions(
    table: Taxonomy,
    *,
    middles: Sequence[float] = (12.0, 20.0, 46.0),
    tops: Sequence[float] = (0.985, 0.96, 0.885),
    n: int = 5794,
    cap: int = 375,
) -> list[Predictions]:
    """A level's accuracy falls from ``top`` as a logistic in log resolution about ``middle``.

    Image i is of class i modulo the number of classes; a wrong answer is always the next class.
    """
    counts = np.asarray([table.count(level) for level in table.levels])
    true = table.codes[np.arange(n) % len(table.paths)]
    rng = np.random.default_rng(0)
    # One draw per image for all levels, so that a genus is never harder than its species.
    ease = rng.logistic(size=n)
    lucky = rng.uniform(size=n)
    sweep = ResolutionSweep.geometric(cap)
    found = []
    for step, resolution in enumerate((cap, *sweep.resolutions)):
        right = np.stack(
            [
                (np.log(resolution / middle) * 3.2 + ease > 0) & (lucky < top)
                for middle, top in zip(middles, tops, strict=True)
            ],
            axis=1,
        )
        found.append(
            Predictions(
                resolution=resolution,
                native=step == 0,
                levels=table.levels,
                image_ids=tuple(str(i) for i in range(n)),
                true=true,
                predicted=np.where(right, true, (true + 1) % counts),
                confidence=np.full(true.shape, 0.5),
                reduced=np.full(n, step > 0),
            )
        )
    return found


def calibration(
    table: Taxonomy,
    *,
    middles: Sequence[float] = (12.0, 20.0, 46.0),
    tops: Sequence[float] = (0.985, 0.96, 0.885),
    thresholds: Sequence[float] = (0.8, 0.8),
    relative: bool = False,
    n: int = 5794,
    cap: int = 375,
    dataset: str = "cub",
    floor: float | None = None,
) -> CalibrationResult:
    """A full sweep read by c2f's own statistics; thresholds go fine to coarse."""
    measured = predictions(table, middles=middles, tops=tops, n=n, cap=cap)
    asked = [*thresholds, *([] if floor is None else [floor])]
    crossings: list[Crossing] = []
    for i, factor in enumerate(asked):
        crossing = locate_crossing(
            measured,
            table.levels[-1 - i],
            (*table.levels[::-1], "")[i + 1],
            factor,
            relative=relative,
            start=crossings[-1].resolution if crossings else None,
            cap=cap,
        )
        crossings.append(crossing)
    lost = crossings.pop() if floor is not None else None
    answer = {c.next_level: c.resolution for c in crossings}
    spec = ResampleSpec()
    return CalibrationResult(
        dataset=dataset,
        layout="CUB-200-2011 as published",
        levels=tuple(
            LevelResolution(
                level,
                table.count(level),
                cap if level == table.finest else answer.get(level),
                native=level == table.finest,
            )
            for level in table.levels
        ),
        protocol=Protocol(
            classifier="probe",
            backbone="vgg16",
            taps=(),
            weights_path=None,
            weights="vgg16-397923af.pth",
            images="test",
            scheme="official test",
            n=n,
            cap=cap,
            cap_reason="the median shorter side of the images",
            native_side=cap,
            spec=spec,
            precision="float32",
            seed=0,
        ),
        curves=tuple(accuracy_curve(measured, level) for level in table.levels),
        crossings=tuple(crossings),
        predictions="predictions",
        index_fingerprint="ab" * 32,
        taxonomy_fingerprint=table.fingerprint,
        images_evaluated=n * len(measured),
        warnings=(),
        provenance=provenance("calibrate", "--dataset", dataset, "--t-med", "0.8"),
        grid=tuple(p.resolution for p in measured),
        sweep_images=n * len(measured),
        stopped_sweep_images=n * len(measured) // 2,
        search="full sweep",
        accuracy="top-1",
        floor=lost,
    )


def searched(whole: CalibrationResult) -> CalibrationResult:
    """The same as a search leaves it: each level has the points that its own answer needs."""
    curves = []
    for curve in whole.curves:
        asked = [*whole.crossings, *([whole.floor] if whole.floor else [])]
        crossing = next((c for c in asked if c.level == curve.level), None)
        needed = {*crossing.bracket, *crossing.interval} if crossing is not None else set()
        kept = (p for p in curve.points if p.native or p.resolution in needed)
        curves.append(replace(curve, points=tuple(kept)))
    return replace(
        whole,
        curves=tuple(curves),
        search="bisection",
        images_evaluated=round(0.35 * whole.sweep_images),
    )


def run(
    levels: Sequence[LevelResolution],
    *,
    name: str = "first",
    correct: Sequence[int] = (5475, 5313, 5058),
    n: int = 5794,
    config: TrainConfig | None = None,
) -> RunResult:
    """A finished run; ``correct`` goes coarse to fine."""
    config = config or TrainConfig()
    test = []
    for level, right in zip(levels, correct, strict=True):
        low, high = wilson(right, n)
        test.append(
            LevelAccuracy(level.name, level.resolution, level.native, n, right, low, high, 0.03)
        )
    epochs = []
    for i in range(config.stage1_epochs + config.stage2_epochs):
        stage = 1 if i < config.stage1_epochs else 2
        loss = {
            level.name: 0.05 + np.log(level.count) * float(np.exp(-i / (9 + 4 * j)))
            for j, level in enumerate(levels)
        }
        epochs.append(
            EpochMetrics(
                stage=stage,
                epoch=i + 1 if stage == 1 else i + 1 - config.stage1_epochs,
                learning_rate=config.stage1_lr if stage == 1 else config.stage2_lr,
                loss=loss,
                accuracy={key: max(0.0, 1 - value / 6) for key, value in loss.items()},
                seconds=12.5,
            )
        )
    return RunResult(
        name=name,
        dataset="cub",
        config=config,
        levels=tuple(levels),
        parameters=139_000_000,
        weights="vgg16-397923af.pth",
        epochs=tuple(epochs),
        test=tuple(test),
        plan_fingerprint="cd" * 32,
        warnings=(),
        provenance=provenance("train", "--name", name),
    )


def facts(**changes: object) -> DatasetFacts:
    known = DatasetFacts("cub", "CUB-200-2011 as published", 5994, 5794, "ab" * 32)
    return replace(known, **changes)  # type: ignore[arg-type]


def photograph(height: int = 375, width: int = 500) -> np.ndarray:
    """A picture with coarse shapes and fine texture, (height, width, 3) uint8."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    u, v = x / width - 0.5, y / height - 0.5
    bird = (u / 0.28) ** 2 + (v / 0.22) ** 2 < 1
    head = ((u - 0.22) / 0.11) ** 2 + ((v + 0.2) / 0.14) ** 2 < 1
    stripes = 0.5 + 0.5 * np.sin(x / 2.1 + 3 * np.sin(y / 17))
    dots = 0.5 + 0.5 * np.sin(x / 3.3) * np.sin(y / 3.1)
    red = np.where(bird, 120 + 90 * stripes, np.where(head, 60 + 70 * dots, 150 + 60 * v))
    green = np.where(bird, 80 + 60 * stripes, np.where(head, 90 + 80 * dots, 185 + 60 * v))
    blue = np.where(bird, 50 + 20 * dots, np.where(head, 130 + 90 * stripes, 215 + 40 * v))
    return np.stack([red, green, blue], axis=2).clip(0, 255).astype(np.uint8)


class Page(HTMLParser):
    """Collects text and every attribute that could cause a request; checks that tags match."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.words: list[str] = []
        self.scripts: list[tuple[str, str]] = []  # (type, content)
        self.policy = ""
        self.feed(html)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.words.append(" ")
        if tag not in VOID:
            self.stack.append(tag)
        known = dict(attrs)
        if tag == "script":
            self.scripts.append((known.get("type") or "", ""))
        if tag == "meta" and known.get("http-equiv") == "Content-Security-Policy":
            self.policy = known["content"] or ""
        if tag != "a":
            names = ("src", "href", "srcset", "data", "action", "poster", "xlink:href")
            self.sources += [value or "" for name, value in attrs if name in names]

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack[-1:] == ["script"]:
            kind, content = self.scripts[-1]
            self.scripts[-1] = kind, content + data
        elif self.stack[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).replace("\N{NO-BREAK SPACE}", " ").split())


def build(
    calibration: CalibrationResult | None,
    runs: Sequence[RunResult] = (),
    *,
    table: Taxonomy | None = None,
    known: DatasetFacts | None = None,
    failures: Failures = NOT_READ,
) -> RunReport:
    """A report with everything else made up."""
    made = provenance("report")
    return build_report(known or facts(), table or taxonomy(), calibration, runs, made, failures)
