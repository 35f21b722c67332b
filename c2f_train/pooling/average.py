"""Global average pooling of the last map: the plain baseline, and the features of a probe."""

from __future__ import annotations

from torch import Tensor, nn

from c2f_train.pooling.multilinear import l2_normalize, normalize_part


class AveragePooling(nn.Module):
    """Mean over locations of Z; X and Y are not used.

    Attributes:
        root: take signed square roots of the means and bring them to unit length, as bilinear
            features are (Lin et al. 2015, section 3.1).
        unit: bring the means to unit length alone. The baseline among the bilinear models: its
            classifiers need no other learning rate than theirs.
        out_features: channels of Z.
    """

    def __init__(
        self, channels: tuple[int, int, int], *, root: bool = False, unit: bool = False
    ) -> None:
        super().__init__()
        self.root = root
        self.unit = unit
        self.out_features = channels[2]

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002
        """(B, c, h, w) maps to (B, c) float32."""
        means = z.float().mean(dim=(2, 3))
        if self.root:
            return normalize_part(means)
        return l2_normalize(means) if self.unit else means
