"""Global average pooling of the last map: the plain baseline, and the features of a probe."""

from __future__ import annotations

from torch import Tensor, nn


class AveragePooling(nn.Module):
    """Mean over locations of Z; X and Y are not used.

    Attributes:
        out_features: channels of Z.
    """

    def __init__(self, channels: tuple[int, int, int]) -> None:
        super().__init__()
        self.out_features = channels[2]

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002
        """(B, c, h, w) maps to (B, c) float32."""
        return z.float().mean(dim=(2, 3))
