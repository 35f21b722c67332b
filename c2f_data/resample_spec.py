"""How images are reduced and brought to the network's input, as plain values.

A :class:`Reduction` is all that makes reduced pixels: shards carry it, because it decides what is
in them. A :class:`ResampleSpec` adds the geometry of the network's input. The pixels are made by
:mod:`c2f_data.resample`; nothing here needs torch.

Without postponed annotations, unlike the other files: cattrs sees :data:`OmitDefault` only in
annotations that are no strings.
"""

from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Any, Literal, TypeVar, get_args

from cattrs.gen import override

from c2f_data.errors import ConfigError

Filter = Literal["bicubic", "bilinear", "lanczos", "box"]
Engine = Literal["torch uint8", "pillow"]
Fit = Literal["shorter", "squash"]

TORCH_FILTERS = ("bicubic", "bilinear")
# Below half a grey level hardly anything is left after rounding, and a smaller number is most
# often meant on a scale from 0 to 1.
NOISE_RANGE = (0.5, 128.0)
LARGEST_SEED = 2**63 - 1
JPEG_RANGE = (1, 100)

T = TypeVar("T")
# Left out of the JSON when it has its default, so that a chain without it keeps the fingerprint
# that it had before there was such a field.
OmitDefault = Annotated[T, override(omit_if_default=True)]


@dataclass(frozen=True, slots=True)
class Reduction:
    """All that determines the pixels of a reduced image, besides the image and the resolution.

    Noise and JPEG model what a camera of that resolution delivers. They come after the resizing,
    in this order, and only where an image was reduced: native images, and images that are no
    larger than r, stay as they are.

    Attributes:
        filter: kernel of the reduction. ``bicubic`` is Keys' with a = -0.5, ``bilinear`` a
            triangle, ``lanczos`` three lobes of a windowed sinc, ``box`` the mean of the pixels
            that a reduced one covers, as on a sensor with larger pixels.
        antialias: widen the kernel by the reduction factor. False exists for tests that show
            what goes wrong without it; no command offers it.
        rounding: how a side that is not whole is rounded.
        engine: which implementation makes the pixels. ``torch uint8`` has bicubic and bilinear;
            ``pillow`` has all four, exactly as Pillow's own resize gives them, and is slower.
        noise: standard deviation in grey levels of Gaussian sensor noise, independent for each
            pixel and channel; 0: none.
        noise_seed: another seed draws other noise.
        jpeg: quality, 1 to 100, of a JPEG that the image goes through at last; None: none.

    Raises:
        ConfigError: an unknown name, a number out of range, or parts that don't go together.
    """

    filter: Filter = "bicubic"
    antialias: bool = True
    rounding: Literal["half up"] = "half up"
    engine: Engine = "torch uint8"
    noise: OmitDefault[float] = 0.0
    noise_seed: OmitDefault[int] = 0
    jpeg: OmitDefault[int | None] = None

    def __post_init__(self) -> None:
        _check_name("filter", self.filter, get_args(Filter))
        _check_name("engine", self.engine, get_args(Engine))
        if self.engine != "pillow" and self.filter not in TORCH_FILTERS:
            raise ConfigError(
                f"filter {self.filter} by engine {self.engine}",
                f"Only the engine pillow has it; {self.engine} has {', '.join(TORCH_FILTERS)}.",
            )
        if self.engine == "pillow" and not self.antialias:
            raise ConfigError(
                "engine pillow without antialiasing", "Pillow always antialiases: use torch uint8."
            )
        # 2 and 2.0 are the same noise, and must have the same fingerprint.
        object.__setattr__(self, "noise", float(self.noise))
        lowest, highest = NOISE_RANGE
        if self.noise != 0 and not lowest <= self.noise <= highest:
            raise ConfigError(
                f"noise of {self.noise:g} grey levels",
                f"Give the standard deviation on the scale from 0 to 255: 0 for none, or "
                f"{lowest:g} to {highest:g}.",
            )
        if not 0 <= self.noise_seed <= LARGEST_SEED:
            raise ConfigError(f"noise seed {self.noise_seed}", "Give 0 or a positive number.")
        if self.noise_seed and not self.noise:
            raise ConfigError(
                f"noise seed {self.noise_seed} without noise",
                "Give the noise's standard deviation too, or leave the seed out.",
            )
        if self.jpeg is not None and not JPEG_RANGE[0] <= self.jpeg <= JPEG_RANGE[1]:
            raise ConfigError(f"JPEG at quality {self.jpeg}", "The quality is from 1 to 100.")

    @classmethod
    def of(cls, spec: "Reduction") -> "Reduction":
        """The reduction alone, of a chain that may go on."""
        return Reduction(**_reduction_values(spec))

    @property
    def degrades(self) -> bool:
        """Something happens to a reduced image after the resizing."""
        return self.noise > 0 or self.jpeg is not None

    @property
    def described(self) -> str:
        """In words, for people: ``box (pillow), noise of 5 grey levels, JPEG at quality 40``."""
        parts = [f"{self.filter} ({self.engine})"]
        if not self.antialias:
            parts.append("not antialiased")
        if self.noise:
            seed = f" (seed {self.noise_seed})" if self.noise_seed else ""
            parts.append(f"noise of {self.noise:g} grey levels{seed}")
        if self.jpeg is not None:
            parts.append(f"JPEG at quality {self.jpeg}")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class ResampleSpec(Reduction):
    """The whole chain from a decoded image to the network's input.

    Attributes:
        fit: ``shorter``: aspect kept, the shorter side becomes ``enlarge_to``; ``squash``: both
            sides become ``enlarge_to`` (what HBP does for Cars).
        enlarge_to: side in pixels that reduced images are brought to.
        crop: side in pixels of the square that the network sees (centre crop in tests).

    Raises:
        ConfigError: as :class:`Reduction`, or the crop does not fit.
    """

    fit: Fit = "shorter"
    enlarge_to: int = 512
    crop: int = 448

    def __post_init__(self) -> None:
        Reduction.__post_init__(self)
        _check_name("fit", self.fit, get_args(Fit))
        if not 8 <= self.crop <= self.enlarge_to <= 4096:
            raise ConfigError(
                f"input {self.crop} px cropped from {self.enlarge_to} px",
                "The crop must be at least 8 px and no larger than the enlarged side.",
            )

    @classmethod
    def for_input(
        cls, crop: int, fit: Fit = "shorter", reduction: Reduction | None = None
    ) -> "ResampleSpec":
        """The paper's geometry at another input size: 512 to 448, so 8/7 of the crop.

        Args:
            crop: side in pixels that the network sees.
            reduction: how images are reduced before; None: the canonical way.
        """
        spec = cls(crop=crop, enlarge_to=(8 * crop + 6) // 7, fit=fit)
        return spec if reduction is None else spec.after(reduction)

    def after(self, reduction: Reduction) -> "ResampleSpec":
        """The same input geometry behind another reduction."""
        return replace(self, **_reduction_values(reduction))

    @property
    def input_filter(self) -> Filter:
        """Kernel that brings images to the network's input: the reduction's.

        For ``box`` it is bicubic. Enlarging by a box repeats pixels, and the edges between the
        blocks would be detail that no camera has seen.
        """
        return "bicubic" if self.filter == "box" else self.filter


def default_engine(kernel: Filter) -> Engine:
    """The fastest engine that has a filter."""
    return "torch uint8" if kernel in TORCH_FILTERS else "pillow"


def _reduction_values(spec: Reduction) -> dict[str, Any]:
    values = asdict(spec)
    return {field.name: values[field.name] for field in fields(Reduction)}


def _check_name(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"{what} {value!r}", f"There is {', '.join(known)}.")
