"""What a rendering of the demo data set is determined by: `DemoSpec`."""

from __future__ import annotations

from dataclasses import dataclass

from c2f_data.demo.texture import TEXTURE_NAMES, TextureName
from c2f_data.errors import C2FError

#: Version of the drawing code. Raised whenever the pixels of a given spec change.
RENDERER_VERSION = 1


@dataclass(frozen=True)
class DemoSpec:
    """The demo data set in numbers; equal specs give equal bytes.

    seed: non-negative integer all randomness derives from.
    side: shorter side of every image, pixels.
    period_species: period of the fine barring that differs between species of a genus, pixels.
    period_genus: period of the coarse pattern that differs between genera of a family, pixels.
    images_per_species: images of each species, training and test together.
    train_per_species: how many of them are training images.
    texture: "plain", or "hard": fainter bars, and as much energy of noise at their period.

    Raises `C2FError` for values that cannot give a meaningful data set.
    """

    seed: int = 0
    side: int = 256
    period_species: float = 7.0
    period_genus: float = 24.0
    images_per_species: int = 120
    train_per_species: int = 84
    texture: TextureName = "plain"

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise C2FError(f"demo seed {self.seed} is negative", "choose a seed of 0 or more")
        if not 64 <= self.side <= 2048:
            raise C2FError(
                f"demo side {self.side} px is out of range", "choose a side from 64 to 2048 px"
            )
        if not self.period_species >= 3.0:
            raise C2FError(
                f"species period {self.period_species} px cannot be drawn as a sinusoid",
                "choose a species period of at least 3 px",
            )
        if not 2.0 * self.period_species <= self.period_genus <= self.side / 8:
            raise C2FError(
                f"genus period {self.period_genus} px does not fit between the species period "
                f"{self.period_species} px and the size of a bird",
                f"choose a genus period from {2 * self.period_species:g} to {self.side / 8:g} px",
            )
        if not 1 <= self.train_per_species < self.images_per_species <= 9999:
            raise C2FError(
                f"{self.train_per_species} training images of {self.images_per_species} "
                "leave no valid split",
                "give every species at least one training and one test image (9999 at most)",
            )
        if self.texture not in TEXTURE_NAMES:
            raise C2FError(
                f"demo texture {self.texture!r} is unknown", f"choose {' or '.join(TEXTURE_NAMES)}"
            )

    @property
    def limit_species(self) -> float:
        """r_s, pixels: the shorter side at which one bar period is two pixels."""
        return 2.0 * self.side / self.period_species

    @property
    def limit_genus(self) -> float:
        """r_g, pixels: the shorter side at which one period of the coarse pattern is two pixels."""
        return 2.0 * self.side / self.period_genus
