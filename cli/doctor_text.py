"""A check-up in words: the worst first, on about one screen."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

import click

from c2f_data.checkup.findings import Finding, Severity

if TYPE_CHECKING:
    from c2f_data.checkup import CheckUp
    from c2f_data.checkup.colour import ColourCheck
    from c2f_data.checkup.sides import NativeSides, SweepCover

EXAMPLES = 3
WIDEST = 100
BAR = 30


def print_findings(findings: tuple[Finding, ...]) -> None:
    """Problems, warnings and notes, with a few examples each."""
    for severity in Severity:
        chosen = [finding for finding in findings if finding.severity is severity]
        if chosen:
            click.echo(f"\n{severity.value.capitalize()}s")
        for finding in chosen:
            _wrapped(finding.message, "- ", "  ")
            for example in finding.examples[:EXAMPLES]:
                _wrapped(example, "    ", "      ")
            if len(finding.examples) > EXAMPLES:
                click.echo(f"    and {len(finding.examples) - EXAMPLES:,} more (--json lists all)")
            if finding.hint:
                _wrapped(finding.hint, "  ", "  ")


def print_check_up(result: CheckUp) -> None:
    """What was found, then the facts."""
    counts = result.counts
    click.echo(f"{result.dataset}: {result.layout}, {result.root}")
    click.echo(
        f"{counts.images:,} images: {counts.train:,} train, {counts.test:,} test; "
        f"{counts.classes:,} classes"
    )
    print_findings(result.findings)
    click.echo("\nFacts")
    if counts.official is not None and counts.complete:
        _fact("all classes and images of the official data set, train and test")
    if result.sides.images:
        _print_sides(result.sides)
    if result.sweep is not None:
        _fact(_sweep(result.sweep))
    _fact(_colours(result.colours[0]))


def _print_sides(sides: NativeSides) -> None:
    at = {quantile.share: quantile.pixels for quantile in sides.quantiles}
    _fact(
        f"shorter side: {at[0.0]} to {at[1.0]} px, median {at[0.5]}, "
        f"90% of the images {at[0.05]} to {at[0.95]}"
    )
    most = max(found.images for found in sides.bins)
    for found in sides.bins:
        name = f"{found.low} to {found.high - 1}" if found.high else f"from {found.low}"
        click.echo(f"    {name:>12} px {found.images:>7,} {'#' * -(-found.images * BAR // most)}")


def _sweep(sweep: SweepCover) -> str:
    why = "the network's input" if sweep.limited_by == "network" else "the images' median side"
    return (
        f"sweep: {len(sweep.resolutions)} resolutions from {sweep.resolutions[0]} to "
        f"{sweep.resolutions[-1]} px over {sweep.images:,} images ({sweep.scheme}), below "
        f"{sweep.cap} px ({why}); the first one reduces {sweep.reduced:.0%} of the images"
    )


def _colours(check: ColourCheck) -> str:
    text = f"red and blue: {check.verdict.value}"
    if not check.votes:
        return text
    return f"{text} (yellowish greens in {check.yellow} of {check.votes} pictures with foliage)"


def _fact(text: str) -> None:
    _wrapped(text, "- ", "  ")


def _wrapped(text: str, first: str, then: str) -> None:
    width = min(shutil.get_terminal_size().columns, WIDEST)
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )
    click.echo("\n".join(lines))
