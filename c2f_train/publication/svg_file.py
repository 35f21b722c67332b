"""A chart as an SVG file of its own, as wide as a paper's column."""

from __future__ import annotations

from markupsafe import Markup

from c2f_train.report import svg
from c2f_train.report.plot import Plot
from c2f_train.report.plot_svg import Frame, draw
from c2f_train.report.svg import tag, text

# 8.5 cm. At 340 units to the column, 11 units of text are 2.75 mm, or 7.8 points.
COLUMN_MM = 85.0
COLUMN = Frame("column", 340, 170, 46, 8, 8, 36, 11, 3.0, tooltips=False)
FONT = "'Liberation Sans', Arial, Helvetica, sans-serif"
# Those of the page on white paper: apart for colour-blind readers, and none is needed to tell the
# series apart, which have markers and dashes, too.
COLOURS = ("#0b62a4", "#b8490a", "#00704f", "#8a3f8f", "#7a6000", "#4d5560")
INK, QUIET, LINE = "#000000", "#444444", "#cccccc"
_STYLE = f"""
text {{ font: 11px {FONT}; fill: {INK}; }}
.label {{ fill: {INK}; }}
.answer-label {{ font-weight: bold; }}
.grid {{ stroke: {LINE}; stroke-width: .6; }}
.axis {{ stroke: {QUIET}; stroke-width: .8; }}
.stage {{ stroke: {QUIET}; stroke-width: .8; stroke-dasharray: 2 2; }}
.threshold {{ stroke: {INK}; stroke-width: .8; stroke-dasharray: 5 3; }}
.line {{ fill: none; stroke: var(--c); stroke-width: 1.4; stroke-linejoin: round; }}
.band {{ fill: var(--c); opacity: .16; }}
.mark {{ fill: var(--c); stroke: #ffffff; stroke-width: .6; }}
.range {{ stroke: var(--c); stroke-width: 1.2; }}
.drop {{ stroke: var(--c); stroke-width: 1; stroke-dasharray: 1.5 2; }}
.answer {{ fill: #ffffff; stroke: var(--c); stroke-width: 1.6; }}
"""


def svg_text(plot: Plot) -> str:
    """The file's text: XML with its own colours, which asks for nothing else."""
    legend, rows = _legend(plot)
    frame = _fitted(plot)
    drawn = draw(
        plot,
        frame,
        head=tag("title", plot.caption) + tag("style", _style()) + legend,
        above=rows * 1.5 * frame.font,
        xmlns="http://www.w3.org/2000/svg",
        version="1.1",
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_sized(str(drawn))}\n'


def _style() -> Markup:
    # Written out, since many programs that read SVG know no variables of CSS.
    rules = []
    for line in _STYLE.strip().splitlines():
        if "var(--c)" not in line:
            rules.append(line)
            continue
        selector, _, rest = line.partition(" ")
        rules += [
            f".s{kind} {selector} {rest.replace('var(--c)', colour)}"
            for kind, colour in enumerate(COLOURS)
        ]
    # No value in it comes from data.
    return Markup("\n".join(rules))


def _fitted(plot: Plot) -> Frame:
    """The column's frame, with room for the words at the left where an axis has names."""
    from dataclasses import replace

    longest = max(len(label) for panel in plot.panels for _, label in panel.y.ticks)
    room = 0.55 * COLUMN.font * longest + 1.9 * COLUMN.font
    return replace(COLUMN, left=min(max(COLUMN.left, room), 0.45 * COLUMN.width))


def _legend(plot: Plot) -> tuple[Markup, int]:
    """The entries in as many rows as they need; their number."""
    entries = plot.legend
    if len(entries) < 2:
        return Markup(""), 0
    sample, gap, font = 26.0, 14.0, COLUMN.font
    parts, x, row = [], 4.0, 0
    for kind, label in entries:
        width = sample + 4 + 0.56 * font * len(label)
        if x > 4 and x + width > COLUMN.width - 4:
            x, row = 4.0, row + 1
        y = font * (0.9 + 1.5 * row)
        parts.append(
            tag(
                "g",
                svg.line(kind, [(x, y), (x + sample, y)]),
                svg.marker(kind, x + sample / 2, y, COLUMN.marker),
                class_=svg.series(kind),
            )
        )
        parts.append(text(x + sample + 4, y + 0.33 * font, label))
        x += width + gap
    return Markup("").join(parts), row + 1


def _sized(drawn: str) -> str:
    """With the drawing's size on paper beside its own units."""
    # A plain text: Markup would escape what is put in.
    _, _, width, height = drawn.split('viewBox="', 1)[1].split('"', 1)[0].split()
    tall = COLUMN_MM * float(height) / float(width)
    return drawn.replace("<svg ", f'<svg width="{COLUMN_MM:g}mm" height="{tall:.2f}mm" ', 1)
