"""Which device computes, in which number format, and from which seed."""

from __future__ import annotations

import random
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from c2f_data.errors import ConfigError, DeviceError
from c2f_train.config import Precision

CHOICES = ("auto", "cuda", "mps", "cpu")


def pick_device(choice: str) -> torch.device:
    """``auto`` takes CUDA, then Apple's MPS, then the CPU; a named device must be there.

    Raises:
        DeviceError: the named device is not there.
        ConfigError: not a device's name.
    """
    if choice == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(choice)
    except RuntimeError as error:
        raise ConfigError(
            f"no device {choice!r}", f"Choose one of {', '.join(CHOICES)}."
        ) from error
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(device.type, False):
        raise DeviceError(
            f"device {choice!r} is not there",
            "Use --device auto, or install torch for that device.",
        )
    return device


def describe_device(device: torch.device) -> str:
    """The device in words, for notes and provenance."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    return f"{device}{threads}"


def pick_precision(choice: str, device: torch.device) -> Precision:
    """``auto``: bfloat16 where the device computes in it natively, else float32.

    Raises:
        ConfigError: not a number format, or one that the device does not have.
    """
    if choice == "auto":
        return "bfloat16" if _has_bfloat16(device) else "float32"
    if choice == "bfloat16":
        if device.type == "mps":
            raise ConfigError("bfloat16 is not available on mps", "Use --precision float32.")
        return "bfloat16"
    if choice == "float32":
        return "float32"
    raise ConfigError(f"no precision {choice!r}", "Choose auto, float32 or bfloat16.")


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # Without these instructions bfloat16 is emulated and slower than float32.
        capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
        return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return False


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Run convolutions and matrix products in the chosen format."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch: what is drawn afterwards in this process repeats."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  (third-party code may still use the global one)
    torch.manual_seed(seed)


def seed_network(device: torch.device, seed: int) -> None:
    """Seed what a network draws on a device, as often as once a step.

    ``torch.manual_seed`` has the same effect, but where there is no GPU it writes down the whole
    stack for each kind of device at every call, which takes milliseconds.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
