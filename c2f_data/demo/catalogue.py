"""The invented birds of the demo: three families, two genera each, three species each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Grating(Enum):
    """Direction along which a plumage pattern oscillates.

    Only directions that a mirror image maps onto themselves exist: at +-45 degrees a horizontal
    flip would turn one species into another.
    """

    VERTICAL = "y"  # oscillates along y: horizontal bars
    HORIZONTAL = "x"  # oscillates along x: vertical bars
    BOTH = "xy"  # both at half the energy each


@dataclass(frozen=True)
class DemoBird:
    """One species.

    class_id: 1-based id as in the CUB files.
    name: "NNN.Class_Name", the folder and the species' name in the taxonomy.
    species_grating, genus_grating: directions of the fine barring and of the coarse pattern.
    """

    class_id: int
    name: str
    genus: str
    family: str
    genus_grating: Grating
    species_grating: Grating


_FAMILIES: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("Demornithidae", (("Rotundara", "Puffling"), ("Globavis", "Roundwing"))),
    ("Longicruridae", (("Altipes", "Stiltling"), ("Gracilipes", "Reedstalker"))),
    ("Planinatidae", (("Lacustria", "Lakedrifter"), ("Navicella", "Boatbill"))),
)
_GENUS_GRATINGS = (Grating.VERTICAL, Grating.HORIZONTAL)
_SPECIES = (
    ("Barred", Grating.VERTICAL),
    ("Streaked", Grating.HORIZONTAL),
    ("Checkered", Grating.BOTH),
)


def demo_birds() -> tuple[DemoBird, ...]:
    """All 18 species in class-id order; siblings are adjacent."""
    birds: list[DemoBird] = []
    for family, genera in _FAMILIES:
        for (genus, common), genus_grating in zip(genera, _GENUS_GRATINGS, strict=True):
            for adjective, species_grating in _SPECIES:
                class_id = len(birds) + 1
                name = f"{class_id:03d}.{adjective}_{common}"
                birds.append(
                    DemoBird(class_id, name, genus, family, genus_grating, species_grating)
                )
    return tuple(birds)
