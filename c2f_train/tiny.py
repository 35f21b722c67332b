"""`TinyVGG`: a trunk small enough to be trained from scratch on a CPU within a minute."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class TinyVGG(nn.Module):
    """A VGG-like trunk whose last stage has three convolutions, as VGG-16's fifth has.

    Norm-free: MLPH trains one trunk on alternating batches of full, medium and low resolution, and
    the running statistics of a batch norm would be a mixture that fits none of them. The stem's
    filters are 5 x 5 because a grating of 3 to 4 pixels needs that many to have a direction.

    width: channels of the stem are 1.5 width, of the last stage 4 width.
    channels: channels of the three maps. stride: input pixels from one map location to the next.
    """

    channels: tuple[int, int, int]
    stride: int = 8

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        first, second, third, last = width * 3 // 2, width * 2, width * 3, width * 4
        self.stem = _convolution(3, first, 5, stride=2)
        self.stage2 = _convolution(first, second, 3)
        self.stage3 = _convolution(second, third, 3)
        self.conv5_1 = _convolution(third, last, 3)
        self.conv5_2 = _convolution(last, last, 3)
        self.conv5_3 = _convolution(last, last, 3)
        self.channels = (last, last, last)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Three maps (B, channels, h, w) after their ReLU, from x (B, 3, H, W) centred on 0.

        h and w are H / 8 and W / 8 for multiples of 8.
        """
        x = functional.relu(self.stem(x))
        x = functional.max_pool2d(functional.relu(self.stage2(x)), 2)
        x = functional.max_pool2d(functional.relu(self.stage3(x)), 2)
        relu5_1 = functional.relu(self.conv5_1(x))
        relu5_2 = functional.relu(self.conv5_2(relu5_1))
        relu5_3 = functional.relu(self.conv5_3(relu5_2))
        return relu5_1, relu5_2, relu5_3


def _convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the variance of its input through the ReLU behind it (He)."""
    layer = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
