"""One image to the bytes of every level: decode once, reduce straight from the full image."""

from __future__ import annotations

from dataclasses import dataclass

from c2f_data.decode import MAX_PIXELS, Box, Decoded, Pixels, decode_bytes
from c2f_data.errors import ImageError
from c2f_data.resample import enlarge, reduce_all, reduced_size
from c2f_data.shards.encodings import RAW, encode
from c2f_data.shards.input_side import InputSide
from c2f_data.shards.schema import ShardPlan


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image as it is stored.

    Attributes:
        payloads: bytes per level, coarse to fine.
        sizes: (height, width) in pixels of each decoded picture.
        native_size: the same of the image before it was reduced or enlarged.
        canonical: the finest level holds lossless RGB: in the raw layout always, else where the
            source's own bytes do not decode to just this upright 8-bit RGB or grey.
    """

    payloads: tuple[bytes, ...]
    sizes: tuple[tuple[int, int], ...]
    native_size: tuple[int, int]
    canonical: bool


def encode_image(source: bytes, name: str, plan: ShardPlan, box: Box | None = None) -> EncodedImage:
    """Make every level of an image.

    Args:
        source: the bytes of the image file.
        name: the file, for the error message.
        box: the part of the image that is wanted, as in :func:`decode_bytes`.

    Raises:
        ImageError: the bytes can't be decoded, a reduced image is too long for the plan's JPEG,
            or an enlarged one is larger than any image may be.
        ConfigError: the package of the plan's encoding is absent.
    """
    decoded = decode_bytes(source, name, box)
    resolutions = [level.resolution for level in plan.levels if level.resolution is not None]
    reduced = list(reduce_all(decoded.pixels, resolutions, plan.reduction))
    if plan.enlarged is not None:
        return _raw([*reduced, decoded.pixels], plan, plan.enlarged, name)
    return EncodedImage(
        payloads=(
            *(encode(pixels, plan.encoding) for pixels in reduced),
            _native(source, decoded, plan),
        ),
        sizes=tuple(_size(pixels) for pixels in (*reduced, decoded.pixels)),
        native_size=_size(decoded.pixels),
        canonical=not decoded.plain,
    )


def _native(source: bytes, decoded: Decoded, plan: ShardPlan) -> bytes:
    return source if decoded.plain else encode(decoded.pixels, plan.canonical_encoding)


def _raw(pictures: list[Pixels], plan: ShardPlan, side: InputSide, name: str) -> EncodedImage:
    """Every picture decoded, at the side that the network's crop is taken from."""
    spec = side.spec(plan.reduction)
    for pixels in pictures:
        height, width = _size(pixels)
        if side.fit == "shorter":
            height, width = reduced_size(height, width, side.enlarge_to)
            if height * width > MAX_PIXELS:
                raise ImageError(
                    f"{name}: {width} x {height} pixels when enlarged to {side.described}",
                    "Images over 100 million pixels are refused: crop it, or leave out --layout "
                    "raw.",
                )
    enlarged = [enlarge(pixels, spec) for pixels in pictures]
    return EncodedImage(
        payloads=tuple(encode(pixels, RAW) for pixels in enlarged),
        sizes=tuple(_size(pixels) for pixels in enlarged),
        native_size=_size(pictures[-1]),
        canonical=True,
    )


def _size(pixels: Pixels) -> tuple[int, int]:
    return int(pixels.shape[0]), int(pixels.shape[1])
