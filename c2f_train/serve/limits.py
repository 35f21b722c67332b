"""How much a server takes."""

from __future__ import annotations

from dataclasses import dataclass

from c2f_data.errors import ConfigError

MEGABYTE = 1_000_000
# Formats that are decoded, as Pillow names them, and as browsers do.
FORMATS = {
    "JPEG": "image/jpeg",  # also with a second one behind it, as some phones write them
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What is turned away.

    Attributes:
        bytes: of an upload.
        pixels: of an image. They are decoded one image at a time, at about 10 bytes a pixel.
        waiting: uploads that may wait for their turn; more get the status 503.
        upload_seconds: in which an upload must have arrived.
        answer_seconds: in which it must be answered, its turn in the queue included.

    Raises:
        ConfigError: a limit that lets nothing through.
    """

    bytes: int = 20 * MEGABYTE
    pixels: int = 50 * MEGABYTE
    waiting: int = 16
    upload_seconds: float = 30.0
    answer_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name in ("bytes", "pixels", "waiting", "upload_seconds", "answer_seconds"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name} = {getattr(self, name)}", "It must be positive.")
