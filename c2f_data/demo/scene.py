"""Everything an image of the demo shows apart from what its labels decide: `Scene`."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from c2f_data.demo.background import draw_background, fractal_noise
from c2f_data.demo.spec import DemoSpec
from c2f_data.demo.texture import TEXTURES, draw_clutter

FloatImage = NDArray[np.float32]
Colour = tuple[float, float, float]

#: Weights of R, G and B in the luma (ITU-R BT.601).
LUMA = np.array((0.299, 0.587, 0.114), dtype=np.float32)

_BARE_PARTS: tuple[Colour, ...] = ((0.20, 0.19, 0.20), (0.86, 0.56, 0.18), (0.72, 0.32, 0.20))

# Share of birds in worn plumage, without one of the patterns. They bind accuracy to about 0.96,
# and teach the network that a bird without bars is still a bird of its genus and family: one that
# has never seen this takes every reduced image for something unknown and loses all levels at once.
_WORN_SHARE = 0.05

# Standard deviation of the softest focus, as a fraction of the side.
_SOFTEST = 6.0 / 256.0


@dataclass(frozen=True)
class Scene:
    """One draw of place, pose, light and strength of the patterns.

    background: (H, W, 3) float32 in 0 to 1. centre: of the body, pixels (x, y). size: factor on
    the bird's scale. facing: +1 right, -1 left. tilt: radians. bend: -1 to 1, posture of the neck.
    stride: distance of a foot from the hip, bird units. colour: plumage; bare: bill and legs, RGB
    in 0 to 1. cap: brightness of the head relative to the body. light: unit vector (right, down,
    towards the viewer) to the light. fine, coarse: amplitudes of the species' and the genus'
    pattern relative to the plumage. phases: radians (fine x, fine y, coarse x, coarse y).
    softness: standard deviation of the focus blur, pixels. feathers, grain: noise of deviation 1,
    (H, W) float32. clutter: added to the brightness under the patterns, (H, W) float32.
    """

    background: FloatImage
    centre: tuple[float, float]
    size: float
    facing: float
    tilt: float
    bend: float
    stride: float
    colour: Colour
    bare: Colour
    cap: float
    light: tuple[float, float, float]
    fine: float
    coarse: float
    phases: tuple[float, float, float, float]
    softness: float
    feathers: FloatImage
    grain: FloatImage
    clutter: FloatImage


def draw_scene(spec: DemoSpec, rng: np.random.Generator) -> Scene:
    """Draw a scene from `rng` alone; it knows neither species nor genus nor family.

    The image's shorter side is `spec.side` pixels, its aspect 1 to 1.3; one in five is upright.
    Textures share their scenes: the same place and pose, other amplitudes, clutter on top.
    """
    side, texture = spec.side, TEXTURES[spec.texture]
    long = round(side * rng.uniform(1.0, 1.3))
    height, width = (long, side) if rng.random() < 0.2 else (side, long)
    brightness = rng.uniform(0.34, 0.48)
    background = draw_background(rng, (height, width), rng.uniform(0.22, 0.62))
    phases = rng.uniform(0.0, 2.0 * math.pi, 4)
    return Scene(
        background=_expose(rng, background, brightness),
        centre=(
            width / 2 + side * rng.uniform(-0.07, 0.07),
            height / 2 + side * rng.uniform(-0.05, 0.05),
        ),
        size=rng.uniform(0.84, 1.1),
        facing=1.0 if rng.random() < 0.5 else -1.0,
        tilt=rng.uniform(-0.22, 0.16),
        bend=rng.uniform(-1.0, 1.0),
        stride=rng.uniform(0.02, 0.14),
        colour=_plumage_colour(rng, brightness),
        bare=_BARE_PARTS[int(rng.integers(len(_BARE_PARTS)))],
        cap=rng.uniform(0.55, 1.35),
        light=_light(rng),
        fine=_amplitude(rng, texture.fine),
        coarse=_amplitude(rng, texture.coarse),
        phases=(float(phases[0]), float(phases[1]), float(phases[2]), float(phases[3])),
        # The cube keeps most pictures sharp and a few very soft.
        softness=_SOFTEST * side * rng.random() ** 3,
        feathers=fractal_noise(rng, (height, width), side / 16, 0.7),
        grain=rng.standard_normal((height, width), dtype=np.float32),
        clutter=draw_clutter(rng, (height, width), texture),  # last: no draw before it moves
    )


def _amplitude(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    worn = rng.random() < _WORN_SHARE
    amplitude = math.exp(rng.uniform(math.log(bounds[0]), math.log(bounds[1])))
    return 0.0 if worn else amplitude


def _light(rng: np.random.Generator) -> tuple[float, float, float]:
    angle = rng.uniform(-1.0, 1.0)
    right, down, front = math.sin(angle), -0.9 * math.cos(angle), rng.uniform(0.5, 1.0)
    norm = math.sqrt(right * right + down * down + front * front)
    return right / norm, down / norm, front / norm


def _plumage_colour(rng: np.random.Generator, brightness: float) -> Colour:
    """A plumage colour of the given luma: mostly earth tones, now and then a vivid one."""
    vivid = rng.random() < 0.3
    hue = rng.random() if vivid else rng.uniform(0.03, 0.14)
    saturation = rng.uniform(0.25, 0.6) if vivid else rng.uniform(0.05, 0.5)
    colour = np.array(colorsys.hsv_to_rgb(hue, saturation, 1.0))
    colour *= brightness / float(colour @ LUMA)
    # Pull saturated colours towards grey until no channel can clip under a bright bar: clipping
    # would turn the bars' contrast into a change of the mean.
    excess = max(1.0, (float(colour.max()) - brightness) / (0.54 - brightness))
    red, green, blue = (brightness + (colour - brightness) / excess).tolist()
    return red, green, blue


def _expose(rng: np.random.Generator, background: FloatImage, bird: float) -> FloatImage:
    """Expose the background clearly brighter or darker than the bird, so that its outline shows."""
    luma = float((background @ LUMA).mean())
    step = rng.uniform(0.14, 0.28)
    target = bird + step if luma > 0.45 or bird - step < 0.14 else bird - step
    if target > luma:  # lifted towards white rather than scaled: highlights must not clip
        exposed = 1.0 - (1.0 - background) * ((1.0 - target) / (1.0 - luma))
    else:
        exposed = background * (target / luma)
    return np.asarray(np.clip(exposed, 0.0, 1.0), dtype=np.float32)
