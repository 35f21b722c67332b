"""Silhouettes of the three families, as signed distances.

Distances are measured in bird units (1 is about the length of a body), x forward, y down, origin
at the centre of the body; negative inside. Everything below is pure geometry without colour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Length of a bird unit as a fraction of the image's shorter side, for a bird of size 1.
UNIT = 0.45

FloatImage = NDArray[np.float32]
Point = tuple[float, float]


@dataclass(frozen=True)
class Figure:
    """Signed distances of one bird's parts, each (H, W) float32 in bird units.

    plumage: body, neck, head and tail in one smooth outline. torso: the patterned part of it.
    wing: folded wing on the torso. head: for the cap. bill, legs: bare parts.
    eye, foot: position of the eye and of the ground between the feet, bird units.
    """

    plumage: FloatImage
    torso: FloatImage
    wing: FloatImage
    head: FloatImage
    bill: FloatImage
    legs: FloatImage
    eye: Point
    foot: Point


def _ellipse(x: FloatImage, y: FloatImage, centre: Point, semi: Point, tilt: float) -> FloatImage:
    cos, sin = np.cos(tilt), np.sin(tilt)
    u = ((x - centre[0]) * cos + (y - centre[1]) * sin) / semi[0]
    v = ((y - centre[1]) * cos - (x - centre[0]) * sin) / semi[1]
    radius = np.sqrt(u * u + v * v) + 1e-6
    slope = np.sqrt((u / semi[0]) ** 2 + (v / semi[1]) ** 2) + 1e-6
    # First-order distance (value over gradient norm): exact on the outline, where it matters.
    return np.asarray(radius * (radius - 1.0) / slope, dtype=np.float32)


def _cone(
    x: FloatImage, y: FloatImage, start: Point, end: Point, radii: tuple[float, float]
) -> FloatImage:
    """A straight limb whose radius runs from radii[0] at start to radii[1] at end."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = ((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy)
    along = np.clip(along, 0.0, 1.0)
    distance = np.hypot(x - start[0] - along * dx, y - start[1] - along * dy)
    return np.asarray(distance - radii[0] - along * (radii[1] - radii[0]), dtype=np.float32)


def _join(first: FloatImage, second: FloatImage, blend: float) -> FloatImage:
    """Union with a fillet of about `blend` bird units, as feathers cover a joint."""
    mix = np.clip(0.5 + 0.5 * (second - first) / blend, 0.0, 1.0)
    return np.asarray(second + (first - second) * mix - blend * mix * (1.0 - mix), dtype=np.float32)


def _legs(x: FloatImage, y: FloatImage, hips: Point, length: float, stride: float) -> FloatImage:
    """Two thin legs with a toe each; `stride` in bird units moves the feet apart."""
    parts: list[FloatImage] = []
    for sign in (-1.0, 1.0):
        hip = (hips[0] + 0.05 * sign, hips[1])
        knee = (hip[0] - 0.04 + 0.4 * stride * sign, hip[1] + 0.55 * length)
        foot = (hip[0] + stride * sign, hips[1] + length)
        parts.append(_cone(x, y, hip, knee, (0.026, 0.018)))
        parts.append(_cone(x, y, knee, foot, (0.020, 0.016)))
        heel, toe = (foot[0] - 0.03, foot[1]), (foot[0] + 0.11, foot[1])
        parts.append(_cone(x, y, heel, toe, (0.02, 0.012)))
    return np.asarray(np.minimum.reduce(parts), dtype=np.float32)


def songbird(x: FloatImage, y: FloatImage, bend: float, stride: float) -> Figure:
    """Round body, hardly a neck, short bill and legs. bend: -1 to 1, posture of the head."""
    torso = _ellipse(x, y, (0.0, 0.0), (0.52, 0.43), -0.45)
    skull = (0.38 + 0.04 * bend, -0.42 + 0.06 * bend)
    head = _ellipse(x, y, skull, (0.25, 0.23), 0.0)
    tail = _cone(x, y, (-0.36, 0.16), (-0.88, 0.34 - 0.08 * bend), (0.12, 0.065))
    tip = (skull[0] + 0.42, skull[1] + 0.04 + 0.04 * bend)
    bill = _cone(x, y, (skull[0] + 0.2, skull[1] + 0.01), tip, (0.065, 0.006))
    return Figure(
        plumage=_join(_join(torso, head, 0.16), tail, 0.10),
        torso=torso,
        wing=_ellipse(x, y, (-0.16, 0.04), (0.40, 0.22), 0.12),
        head=head,
        bill=bill,
        legs=_legs(x, y, (0.02, 0.34), 0.34, stride * 0.6),
        eye=(skull[0] + 0.10, skull[1] - 0.04),
        foot=(0.02, 0.68),
    )


def wader(x: FloatImage, y: FloatImage, bend: float, stride: float) -> Figure:
    """Long legs, long thin neck, long bill. bend: -1 to 1, posture of the neck."""
    torso = _ellipse(x, y, (0.0, 0.0), (0.50, 0.33), -0.22)
    crook = (0.52 - 0.05 * bend, -0.36)
    skull = (0.46 + 0.10 * bend, -0.72 + 0.05 * bend)
    neck = _join(
        _cone(x, y, (0.30, -0.10), crook, (0.15, 0.075)),
        _cone(x, y, crook, skull, (0.075, 0.07)),
        0.08,
    )
    head = _ellipse(x, y, (skull[0] + 0.03, skull[1]), (0.135, 0.105), 0.1)
    tail = _cone(x, y, (-0.36, 0.08), (-0.66, 0.18), (0.11, 0.04))
    tip = (skull[0] + 0.62, skull[1] + 0.10 + 0.06 * bend)
    bill = _cone(x, y, (skull[0] + 0.11, skull[1] + 0.01), tip, (0.038, 0.006))
    outline = _join(_join(torso, neck, 0.12), tail, 0.10)
    return Figure(
        plumage=_join(outline, head, 0.05),
        torso=torso,
        wing=_ellipse(x, y, (-0.12, 0.0), (0.42, 0.19), 0.05),
        head=head,
        bill=bill,
        legs=_legs(x, y, (-0.02, 0.24), 0.78, stride),
        eye=(skull[0] + 0.07, skull[1] - 0.03),
        foot=(-0.02, 1.02),
    )


def waterfowl(x: FloatImage, y: FloatImage, bend: float, stride: float) -> Figure:
    """Long flat body, thick short neck, flat bill. bend: -1 to 1, posture of the neck."""
    torso = _ellipse(x, y, (0.0, 0.0), (0.68, 0.33), 0.0)
    skull = (0.62 + 0.07 * bend, -0.46 + 0.05 * bend)
    neck = _cone(x, y, (0.44, -0.06), (skull[0] - 0.04, skull[1]), (0.17, 0.11))
    head = _ellipse(x, y, skull, (0.18, 0.145), 0.15)
    tail = _cone(x, y, (-0.50, -0.02), (-0.86, -0.20), (0.14, 0.03))
    tip = (skull[0] + 0.36, skull[1] + 0.10)
    bill = _cone(x, y, (skull[0] + 0.13, skull[1] + 0.03), tip, (0.065, 0.04))
    outline = _join(_join(torso, neck, 0.14), tail, 0.14)
    return Figure(
        plumage=_join(outline, head, 0.05),
        torso=torso,
        wing=_ellipse(x, y, (-0.12, -0.03), (0.46, 0.19), 0.03),
        head=head,
        bill=bill,
        legs=_legs(x, y, (0.0, 0.25), 0.22, stride * 0.6),
        eye=(skull[0] + 0.06, skull[1] - 0.04),
        foot=(0.0, 0.47),
    )


@dataclass(frozen=True)
class Build:
    """How a family is drawn.

    draw: its silhouette, from the position of every pixel (bird units), bend and stride.
    lift: upward shift of the body that centres the whole figure, bird units.
    """

    draw: Callable[[FloatImage, FloatImage, float, float], Figure]
    lift: float


BUILDS: dict[str, Build] = {
    "Demornithidae": Build(songbird, 0.0),
    "Longicruridae": Build(wader, 0.10),
    "Planinatidae": Build(waterfowl, -0.07),
}
