"""Global average pooling of the last map: the plain baseline, and the features of a probe."""

from __future__ import annotations

from torch import Tensor, nn

from c2f_train.pooling.multilinear import normalize_part


class AveragePooling(nn.Module):
    """Mean over locations of Z; X and Y are not used.

    Attributes:
        root: take signed square roots of the means and bring them to unit length, as bilinear
            features are (Lin et al. 2015, section 3.1).
        out_features: channels of Z.
    """

    def __init__(self, channels: tuple[int, int, int], *, root: bool = False) -> None:
        super().__init__()
        self.root = root
        self.out_features = channels[2]

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002
        """(B, c, h, w) maps to (B, c) float32."""
        means = z.float().mean(dim=(2, 3))
        return normalize_part(means) if self.root else means
