"""The side that images are enlarged to, where shards hold them enlarged already."""

from __future__ import annotations

from dataclasses import dataclass

from c2f_data.errors import ConfigError
from c2f_data.resample_spec import Fit, Reduction, ResampleSpec
from c2f_data.shards.encodings import CHANNELS


@dataclass(frozen=True, slots=True)
class InputSide:
    """What images are enlarged to before the network's crop is taken from them.

    Attributes:
        fit: as in :class:`ResampleSpec`.
        enlarge_to: side in pixels.

    Raises:
        ConfigError: an unknown fit, or a side that no network takes.
    """

    fit: Fit = "shorter"
    enlarge_to: int = 512

    def __post_init__(self) -> None:
        self.spec(Reduction())

    @classmethod
    def of(cls, spec: ResampleSpec) -> InputSide:
        """The side of a whole chain."""
        return cls(spec.fit, spec.enlarge_to)

    def spec(self, reduction: Reduction) -> ResampleSpec:
        """A chain that enlarges to this side; nothing is cropped."""
        chain = ResampleSpec(fit=self.fit, enlarge_to=self.enlarge_to, crop=self.enlarge_to)
        return chain.after(reduction)

    @property
    def described(self) -> str:
        """In words: ``shorter side 512 px``."""
        return ("both sides" if self.fit == "squash" else "shorter side") + f" {self.enlarge_to} px"

    @property
    def typical_bytes(self) -> int:
        """Of a decoded image of this side that is 4 to 3, as most photographs are."""
        area = self.enlarge_to**2
        return CHANNELS * (area if self.fit == "squash" else 4 * area // 3)

    def check(self, spec: ResampleSpec) -> None:
        """Raise ConfigError where a chain enlarges its images to another side."""
        wanted = InputSide.of(spec)
        if wanted == self:
            return
        ways = [f"`c2f shard --layout raw --input-size {spec.crop} --fit {spec.fit} --overwrite`"]
        crop = self.enlarge_to * 7 // 8
        if crop >= 8 and InputSide.of(ResampleSpec.for_input(crop, self.fit)) == self:
            ways.insert(0, f"`c2f train --input-size {crop} --fit {self.fit}`")
        raise ConfigError(
            f"the shards hold images enlarged to {self.described}, but the network's input is cut "
            f"from {wanted.described}",
            f"Run {', or '.join(ways)}.",
        )
