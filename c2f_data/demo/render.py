"""One image of the demo: a bird of a given species in a scene that knows nothing of its species."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from c2f_data.demo.catalogue import DemoBird, demo_birds
from c2f_data.demo.figures import BUILDS, UNIT, Figure
from c2f_data.demo.plumage import grating
from c2f_data.demo.scene import FloatImage, Scene, draw_scene
from c2f_data.demo.spec import DemoSpec

#: Share of the clutter's strength that lies on the bird, too.
CLUTTER_ON_PLUMAGE = 0.5


def render_image(spec: DemoSpec, class_id: int, index: int) -> NDArray[np.uint8]:
    """Image `index` (0-based) of the species with 1-based `class_id`, (H, W, 3) uint8 RGB.

    Pure: depends on nothing but its arguments.
    """
    rng = np.random.default_rng([spec.seed, class_id, index])
    return render_bird(spec, demo_birds()[class_id - 1], draw_scene(spec, rng))


def render_bird(spec: DemoSpec, bird: DemoBird, scene: Scene) -> NDArray[np.uint8]:
    """Draw `bird` into `scene`, (H, W, 3) uint8 RGB.

    The family decides the silhouette, genus and species the directions of two gratings; nothing
    else depends on the labels.
    """
    build = BUILDS[bird.family]
    unit = spec.side * UNIT * scene.size
    x, y = _bird_coordinates(scene, unit, build.lift)
    figure = build.draw(x, y, scene.bend, scene.stride)
    colour = np.array(scene.colour, dtype=np.float32)
    bare = np.array(scene.bare, dtype=np.float32)

    canvas = scene.background.copy()
    _cast_shadow(canvas, x, y, figure)
    _blend(canvas, _cover(figure.legs, unit), 0.8 * bare)
    rounded = 0.75 + 0.5 * np.clip(-12.0 * figure.bill, 0.0, 1.0)
    _blend(canvas, _cover(figure.bill, unit), bare * rounded[..., None])
    _blend(canvas, _cover(figure.plumage, unit), colour * _tone(scene, figure, x, y)[..., None])
    _draw_eye(canvas, x, y, figure, unit)
    canvas = _soften(canvas, scene.softness)
    veil = scene.clutter * (1.0 - (1.0 - CLUTTER_ON_PLUMAGE) * _cover(figure.plumage, unit))
    # Faded towards black and white: a bar that is clipped there would change the mean.
    canvas += 4.0 * canvas * (1.0 - canvas) * veil[..., None]
    # After the blur: focus softens the outline, never the bars, whose limit must stay known. Over
    # the clutter, never behind it: bars cut off at an edge would leave traces at low frequencies.
    canvas += colour * (_patch(figure, x, y) * _pattern(spec, bird, scene))[..., None]
    canvas += 0.005 * scene.grain[..., None]
    return _to_levels(canvas)


def _bird_coordinates(scene: Scene, unit: float, lift: float) -> tuple[FloatImage, FloatImage]:
    """Position of every pixel in bird units, x forward and y down, each (H, W)."""
    height, width = scene.grain.shape
    u = (np.arange(width, dtype=np.float32) - scene.centre[0]) * (scene.facing / unit)
    v = (np.arange(height, dtype=np.float32)[:, None] - scene.centre[1]) / unit
    cos, sin = math.cos(scene.tilt), math.sin(scene.tilt)
    x = np.asarray(u * cos + v * sin, dtype=np.float32)
    y = np.asarray(v * cos - u * sin + lift, dtype=np.float32)
    return x, y


def _tone(scene: Scene, figure: Figure, x: FloatImage, y: FloatImage) -> FloatImage:
    """Brightness of the plumage relative to its colour: light and shade, wing and cap, (H, W)."""
    # Inflate the outline into a rounded body: steep at the rim, flat inside.
    rim = 1.0 - np.clip(-figure.plumage / 0.24, 0.0, 1.0)
    slope_v, slope_u = np.gradient(figure.plumage)
    norm = np.hypot(slope_u, slope_v) + 1e-6
    lambert = (slope_u * scene.light[0] + slope_v * scene.light[1]) / norm * rim
    lambert += np.sqrt(1.0 - rim * rim + 1e-6) * scene.light[2]
    tone = 0.62 + 0.46 * np.clip(lambert, 0.0, 1.3) + 0.05 * scene.feathers

    edge = np.exp(-((figure.wing / 0.022) ** 2))
    quills = np.exp(-(((figure.wing + 0.09) / 0.018) ** 2)) * (x < 0.0)
    below = np.clip(1.0 - figure.wing / 0.12, 0.0, 1.0) * (figure.wing > 0.0) * (y > 0.0)
    tone *= 1.0 - 0.16 * edge - 0.10 * quills - 0.10 * below
    capped = np.clip(0.5 - figure.head / 0.05, 0.0, 1.0)
    tone *= 1.0 + (scene.cap - 1.0) * capped
    return np.asarray(tone, dtype=np.float32)


def _patch(figure: Figure, x: FloatImage, y: FloatImage) -> FloatImage:
    """Soft envelope of the patterns, (H, W) in 0 to 1.

    One and the same flank for every family, inside the torso: were it the whole torso, the barred
    area alone would give the silhouette away, and the family would be lost together with the bars.
    """
    reach = np.hypot(x / 0.70, y / 0.50)
    inside = np.clip((1.05 - reach) / 0.5, 0.0, 1.0) * np.clip(-figure.torso / 0.06, 0.0, 1.0)
    return np.asarray(inside * inside * (3.0 - 2.0 * inside), dtype=np.float32)


def _pattern(spec: DemoSpec, bird: DemoBird, scene: Scene) -> FloatImage:
    """The two gratings, (H, W). Added, not multiplied: a product would make other frequencies."""
    height, width = scene.grain.shape
    shape, (fine_x, fine_y, coarse_x, coarse_y) = (height, width), scene.phases
    bars = grating(shape, spec.period_species, bird.species_grating, (fine_x, fine_y))
    bands = grating(shape, spec.period_genus, bird.genus_grating, (coarse_x, coarse_y))
    return np.asarray(scene.fine * bars + scene.coarse * bands, dtype=np.float32)


def _draw_eye(
    canvas: FloatImage, x: FloatImage, y: FloatImage, figure: Figure, unit: float
) -> None:
    right, down = figure.eye
    for shift, radius, level in ((0.0, 0.048, 0.82), (0.0, 0.036, 0.05), (0.012, 0.011, 0.95)):
        distance = np.hypot(x - right - shift, y - down + shift) - radius
        _blend(canvas, _cover(distance, unit), np.array(level, dtype=np.float32))


def _cast_shadow(canvas: FloatImage, x: FloatImage, y: FloatImage, figure: Figure) -> None:
    reach = ((x - figure.foot[0]) / 0.55) ** 2 + ((y - figure.foot[1]) / 0.07) ** 2
    canvas *= (1.0 - 0.45 * np.exp(-reach))[..., None]


def _cover(distance: FloatImage, unit: float) -> FloatImage:
    """Antialiased coverage of a shape: one pixel from full to none across its edge."""
    return np.asarray(np.clip(0.5 - distance * unit, 0.0, 1.0), dtype=np.float32)


def _blend(canvas: FloatImage, cover: FloatImage, paint: FloatImage) -> None:
    canvas += cover[..., None] * (paint - canvas)


def _soften(canvas: FloatImage, deviation: float) -> FloatImage:
    # On bytes: Pillow's integer blur is fast, and the same everywhere.
    blurred = Image.fromarray(_to_levels(canvas)).filter(ImageFilter.GaussianBlur(deviation))
    return np.asarray(blurred, dtype=np.float32) / np.float32(255.0)


def _to_levels(canvas: FloatImage) -> NDArray[np.uint8]:
    return np.asarray(np.clip(canvas * 255.0 + 0.5, 0.0, 255.0), dtype=np.uint8)
