"""Everything that a report shows, as one frozen object: the page is drawn from nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from c2f_data.artefacts import read_json
from c2f_data.calibration import CalibrationResult, LevelResolution
from c2f_data.checkup.kept import KeptCheckUp
from c2f_data.curve.logistic import LogisticFit, fit_logistic
from c2f_data.errors import ArtefactError
from c2f_data.index import TEST, TRAIN, DatasetIndex
from c2f_data.provenance import Provenance
from c2f_data.taxonomy import Taxonomy
from c2f_train.evaluation import EvaluationResult
from c2f_train.report import doubts, notes, tables
from c2f_train.report.ablations import Ablation
from c2f_train.report.answers import Answer, answers, floor_answer
from c2f_train.report.class_map import ClassMap
from c2f_train.report.comparison import RunComparison
from c2f_train.report.failures import Failures
from c2f_train.report.headline import headline
from c2f_train.report.notes import Note
from c2f_train.report.stopping import RunStopping
from c2f_train.report.table3 import Table3Row, table3
from c2f_train.report.tables import AccuracyRow, HierarchyRow
from c2f_train.report.wording import THREE
from c2f_train.results import RunResult

SCHEMA = "c2f-report"
SCHEMA_VERSION = 3

NOT_READ = Failures(missing="the stored predictions were not read")


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What the report says of the data set itself.

    Attributes:
        dataset: its name, for example ``cub``.
        layout: how it was read, in words.
        train, test: number of images; None where the images are not at hand.
        fingerprint: of the index; None where the images are not at hand.
        warnings: what the source noticed, one line each.
    """

    dataset: str
    layout: str
    train: int | None
    test: int | None
    fingerprint: str | None
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_index(cls, index: DatasetIndex, checked: KeptCheckUp | None = None) -> DatasetFacts:
        """The facts of a data set whose images are at hand.

        Args:
            checked: the last check-up; one of other images is not used.
        """
        return cls(
            dataset=index.dataset,
            layout=index.layout,
            train=len(index.positions(TRAIN)),
            test=len(index.positions(TEST)),
            fingerprint=index.fingerprint,
            warnings=(
                *index.warnings,
                *doubts.leakage(checked, index.fingerprint),
                *doubts.few_images(index),
            ),
        )


@dataclass(frozen=True, slots=True)
class RunReport:
    """What `c2f report` shows. Levels are coarse to fine everywhere.

    Attributes:
        headline: sentences, the answer first; n stands in them.
        levels: with the counts of this data set; a resolution is None where neither a calibration
            nor a run gives one.
        r_med, r_low: resolutions in pixels of the middle and the coarsest of three levels.
        species, genera, families: counts of three levels, finest first; None for other numbers
            of levels.
        answers: one a crossing, fine to coarse.
        floor: where even the coarsest level is lost; None: not asked.
        fits: a logistic through each curve, to be drawn; None where it has too few points.
        failures: which classes fail first; None without a calibration.
        hierarchy: counts of this data set, then the paper's (Table 2).
        accuracy: c2f's rows, then the paper's (Table 3).
        comparable: the paper's rows are about this very data set and stand in the same table.
        differences: in what the main run differs from the paper's setting, one line each.
        notes: warnings with the section they belong to.
        calibration: None before `c2f calibrate`.
        runs: finished runs, the main one first.
        provenance: of this report.
        evaluations: of the runs that were evaluated (`c2f evaluate`), in their order.
        comparison: the main run beside others (`--compare`); None: not asked for.
        ablations: what MLPH's parts are worth, where runs are there to say so.
        table3: the paper's systems with our runs beside them; empty without a run.
        stopping: of the runs whose answers were tested on held-out images, in their order.
        classes: every class's counts at every kept resolution; None: the predictions were not read.
    """

    dataset: str
    layout: str
    train: int | None
    test: int | None
    hierarchy_origin: str
    headline: tuple[str, ...]
    levels: tuple[LevelResolution, ...]
    r_med: int | None
    r_low: int | None
    species: int | None
    genera: int | None
    families: int | None
    answers: tuple[Answer, ...]
    floor: Answer | None
    fits: tuple[LogisticFit | None, ...]
    failures: Failures | None
    hierarchy: tuple[HierarchyRow, ...]
    accuracy: tuple[AccuracyRow, ...]
    comparable: bool
    differences: tuple[str, ...]
    notes: tuple[Note, ...]
    index_fingerprint: str | None
    taxonomy_fingerprint: str
    calibration: CalibrationResult | None
    runs: tuple[RunResult, ...]
    provenance: Provenance
    evaluations: tuple[EvaluationResult, ...] = ()
    comparison: RunComparison | None = None
    ablations: tuple[Ablation, ...] = ()
    table3: tuple[Table3Row, ...] = ()
    stopping: tuple[RunStopping, ...] = ()
    classes: ClassMap | None = None

    def notes_on(self, section: Literal["dataset", "calibration", "training"]) -> tuple[str, ...]:
        """The warnings of one section."""
        return tuple(note.text for note in self.notes if note.section == section)


def build_report(
    facts: DatasetFacts,
    taxonomy: Taxonomy,
    calibration: CalibrationResult | None,
    runs: Sequence[RunResult],
    provenance: Provenance,
    failures: Failures = NOT_READ,
    evaluations: Sequence[EvaluationResult] = (),
    comparison: RunComparison | None = None,
    ablations: Sequence[Ablation] = (),
    classes: ClassMap | None = None,
    stopping: Sequence[RunStopping] = (),
) -> RunReport:
    """Put a report together. Pure: reads no file and no clock.

    Args:
        taxonomy: the data set's hierarchy, matched to its classes.
        runs: finished runs, the main one first; may be empty.
        provenance: of the report itself.
        failures: of the calibration, see :func:`c2f_train.report.failures.read_failures`.
        evaluations: of the runs, in their order; not every run needs one.
        comparison: of the main run with others.
        ablations: see :func:`c2f_train.report.ablations.ablations`.
        stopping: see :func:`c2f_train.report.stopping.read_stopping`.
        classes: of the calibration, see :func:`c2f_train.report.class_map.class_map`.

    Raises:
        ArtefactError: there is neither a calibration nor a run, or a curve lacks its answer.
        TaxonomyError: a calibration or run has a level that the hierarchy lacks.
    """
    if calibration is None and not runs:
        raise ArtefactError(
            f"{facts.dataset}: nothing to report, neither a calibration nor a run",
            f"Run `c2f calibrate --dataset {facts.dataset}` first.",
        )
    levels = _levels(taxonomy, calibration, runs)
    three = len(levels) == len(THREE)
    comparable = tables.comparable(facts.dataset, taxonomy)
    return RunReport(
        dataset=facts.dataset,
        layout=facts.layout,
        train=facts.train,
        test=facts.test,
        hierarchy_origin=taxonomy.origin or taxonomy.name,
        headline=headline(calibration, runs),
        levels=levels,
        r_med=levels[1].resolution if three else None,
        r_low=levels[0].resolution if three else None,
        species=levels[2].count if three else None,
        genera=levels[1].count if three else None,
        families=levels[0].count if three else None,
        answers=answers(calibration, taxonomy.levels) if calibration else (),
        floor=floor_answer(calibration) if calibration else None,
        fits=tuple(fit_logistic(c.points) for c in calibration.curves) if calibration else (),
        failures=failures if calibration else None,
        hierarchy=tables.hierarchy_rows(facts.dataset, taxonomy, facts.train, facts.test),
        accuracy=tables.accuracy_rows(facts.dataset, taxonomy, runs),
        comparable=comparable,
        differences=tables.differences(facts.dataset, taxonomy, runs[0])
        if runs and comparable
        else (),
        notes=notes.collect(
            facts.dataset, facts.warnings, facts.fingerprint, taxonomy, calibration, runs
        ),
        index_fingerprint=facts.fingerprint,
        taxonomy_fingerprint=taxonomy.fingerprint,
        calibration=calibration,
        runs=tuple(runs),
        provenance=provenance,
        evaluations=tuple(evaluations),
        comparison=comparison,
        ablations=tuple(ablations),
        table3=table3(facts.dataset, taxonomy, runs),
        stopping=tuple(stopping),
        classes=classes if calibration else None,
    )


def read_report(path: Path) -> RunReport:
    """Read report.json. Raises ArtefactError: absent, damaged, of another version."""
    return read_json(path, RunReport, schema=SCHEMA, version=SCHEMA_VERSION, maker="c2f report")


def _levels(
    taxonomy: Taxonomy, calibration: CalibrationResult | None, runs: Sequence[RunResult]
) -> tuple[LevelResolution, ...]:
    """Every level with its resolution: the calibration's, else the main run's."""
    sources = [source.levels for source in (calibration, *runs[:1]) if source is not None]
    found: dict[str, LevelResolution] = {}
    for level in (level for source in sources for level in source):
        taxonomy.level_index(level.name)
        if level.name not in found or found[level.name].resolution is None:
            found[level.name] = level
    levels = []
    for name in taxonomy.levels:
        known = found.get(name)
        levels.append(
            LevelResolution(
                name=name,
                count=taxonomy.count(name),
                resolution=known.resolution if known else None,
                native=known.native if known else name == taxonomy.finest,
            )
        )
    return tuple(levels)
