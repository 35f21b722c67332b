"""The embedded data set `demo`: rendered birds whose resolution limits are known by construction.

Species of a genus differ in the direction of a fine barring of one period, genera of a family in a
coarse pattern of one longer period, families in silhouette. A resolution at which one period is
two pixels is the limit of its level, so a calibration on the demo can be held against the truth.
"""

from c2f_data.demo.catalogue import DemoBird, Grating, demo_birds
from c2f_data.demo.dataset import image_path, read_spec, render_dataset
from c2f_data.demo.plumage import grating, grating_energy
from c2f_data.demo.render import render_bird, render_image
from c2f_data.demo.scene import Scene, draw_scene
from c2f_data.demo.spec import DemoSpec

__all__ = [
    "DemoBird",
    "DemoSpec",
    "Grating",
    "Scene",
    "demo_birds",
    "draw_scene",
    "grating",
    "grating_energy",
    "image_path",
    "read_spec",
    "render_bird",
    "render_dataset",
    "render_image",
]
