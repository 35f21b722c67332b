"""The head in Triton: its kernels without a GPU, that they compile, and who is chosen."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from c2f_data.errors import ConfigError
from c2f_train.pooling import fused, kernel_choice, triton_head
from c2f_train.pooling.head import Head, Kernel, plain_sums
from c2f_train.pooling.kernel_choice import PYTORCH, Maker, choices, maker_of, measure
from c2f_train.pooling.multilinear import MultiLinearPooling
from c2f_train.pooling.triton_head import TILES, Tile

needs_triton = pytest.mark.skipif(not triton_head.is_installed(), reason="Triton is not installed")


@needs_triton
def test_the_kernels_equal_the_plain_formula() -> None:
    script = Path(__file__).with_name("interpreted_head.py")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, script],
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def compiled(name: str, tile: Tile, capability: int, *, keep: bool, trilinear: bool = True) -> Any:
    """A kernel in bfloat16 for a GPU that need not be there."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from c2f_train.pooling import triton_kernels

    kernel = getattr(triton_kernels, name)
    box = f"1, {tile.depth}, {tile.width}"
    types = {
        **dict.fromkeys("xyz", f"tensordesc<bf16[1, {tile.depth}, {tile.step}]>"),
        **dict.fromkeys("uvw", f"tensordesc<bf16[{tile.width}, {tile.step}]>"),
        **dict.fromkeys(("of_u", "of_v", "of_w"), "*bf16"),
        **dict.fromkeys(("p", "g"), "*fp32"),
        **dict.fromkeys(("of_a", "of_b", "of_c"), f"tensordesc<bf16[{box}]>"),
        "kept": f"tensordesc<bf16[1, {box}]>" if keep else "constexpr",
    }
    constants: dict[str, int | bool | None] = {
        "x_channels": 512,
        "y_channels": 512,
        "z_channels": 512,
        "trilinear": trilinear,
        "keep": keep,
        "need_a": True,
        "need_b": True,
        "need_c": True,
        "width": tile.width,
        "depth": tile.depth,
        "step": tile.step,
    }
    if not keep:
        constants["kept"] = None
    names = kernel.arg_names
    signature = {n: "constexpr" if n in constants else types.get(n, "i32") for n in names}
    source = ASTSource(
        fn=kernel,
        signature=signature,
        constexprs={n: value for n, value in constants.items() if n in names},
    )
    options = {"num_warps": tile.warps, "num_stages": tile.stages, "enable_fp_fusion": True}
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)


# Bytes of shared memory that a program may have.
SHARED = {80: 163 * 1024, 90: 227 * 1024, 100: 227 * 1024}


@needs_triton
@pytest.mark.parametrize("name", ["sums_kernel", "derivatives_kernel"])
def test_the_kernels_compile_to_tensor_core_instructions(name: str) -> None:
    made = compiled(name, TILES[0], 90, keep=False)
    assert "wgmma.mma_async" in made.asm["ptx"]
    assert "cp.async.bulk.tensor" in made.asm["ptx"]
    assert made.metadata.shared <= SHARED[90]


@pytest.mark.slow
@needs_triton
@pytest.mark.parametrize("name", ["sums_kernel", "derivatives_kernel"])
@pytest.mark.parametrize("capability", [80, 90, 100])
def test_every_kernel_compiles_for_every_gpu(name: str, capability: int) -> None:
    for keep, trilinear in itertools.product((True, False), (True, False)):
        for tile in triton_head.tiles(divmod(capability, 10), keep):
            made = compiled(name, tile, capability, keep=keep, trilinear=trilinear)
            assert made.metadata.shared <= SHARED[capability]


def make_head(
    kernel: Kernel = "auto", compute: torch.dtype = torch.bfloat16, dim: int = 16
) -> Head:
    torch.manual_seed(0)
    maps = [torch.randn(2, 8, 3, 3) for _ in range(3)]
    weights = [torch.randn(dim, 8) for _ in range(3)]
    return Head(maps, weights, [torch.randn(dim) for _ in range(3)], True, compute, kernel)


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A GPU that is a CPU, and kernels of Triton that are PyTorch's."""
    monkeypatch.setattr(triton_head, "can_run", triton_head.fits)
    monkeypatch.setattr(triton_head, "sums", lambda head, kept, _: fused.sums(head, kept))
    monkeypatch.setattr(triton_head, "blocks_of", lambda _: fused.Blocks)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "no GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(kernel_choice, "_choices", {})
    return monkeypatch


def timing(*seconds: float) -> Callable[[Callable[[], None]], float]:
    """Makers take so long, each in its turn."""
    turns = itertools.cycle(seconds)

    def timed(run: Callable[[], None]) -> float:
        run()
        return next(turns)

    return timed


@pytest.mark.usefixtures("fake_gpu")
def test_the_fastest_is_chosen() -> None:
    makers = [PYTORCH, *map(Maker, TILES)]
    for fastest in range(len(makers)):
        seconds = [2.0] * len(makers)
        seconds[fastest] = 1.0
        choice = measure(make_head(), True, timing(*seconds))
        assert choice.maker == makers[fastest]
        assert choice.seconds == tuple(zip(makers, seconds, strict=True))
    # Triton on demand: PyTorch is not asked.
    choice = measure(make_head("triton"), False, timing(3.0, 2.0, 4.0))
    assert choice.maker == Maker(TILES[1])


def test_it_is_measured_once_for_a_kind(fake_gpu: pytest.MonkeyPatch) -> None:
    measured = []

    def counting(head: Head, keep: bool) -> kernel_choice.Choice:
        measured.append(keep)
        return measure(head, keep, timing(2.0, 1.0, 3.0, 4.0))

    fake_gpu.setattr(kernel_choice, "measure", counting)
    head = make_head()
    one_image = replace(head, maps=[m[:1] for m in head.maps])
    assert [maker_of(h, False) for h in (head, one_image)] == [Maker(TILES[0])] * 2
    assert maker_of(head, True) == Maker(TILES[0])
    assert maker_of(make_head(dim=24), False) == Maker(TILES[0])
    assert measured == [False, True, False]
    assert {(kind.keep, kind.dim) for kind in choices()} == {(False, 16), (True, 16), (False, 24)}


def test_tiles_that_do_not_compile_are_not_tried(fake_gpu: pytest.MonkeyPatch) -> None:
    fake_gpu.setattr(torch.cuda, "get_device_capability", lambda _: (10, 0))
    kept = measure(make_head(), True, timing(2.0, 1.0))
    assert [maker for maker, _ in kept.seconds] == [PYTORCH, Maker(TILES[2])]
    assert len(measure(make_head(), False, timing(1.0)).seconds) == 1 + len(TILES)


@pytest.mark.usefixtures("fake_gpu")
def test_what_decides_before_the_clock() -> None:
    assert maker_of(make_head("torch"), True) == PYTORCH
    assert maker_of(make_head(compute=torch.float32), True) == PYTORCH
    assert maker_of(make_head(dim=20), True) == PYTORCH  # rows of 40 bytes are not aligned
    with pytest.raises(ConfigError, match="Triton can't compute"):
        maker_of(make_head("triton", dim=20), True)
    torch.use_deterministic_algorithms(True)
    try:
        assert maker_of(make_head(), True) == PYTORCH
    finally:
        torch.use_deterministic_algorithms(False)
    assert not choices()


def test_kernels_that_fail_are_not_chosen(fake_gpu: pytest.MonkeyPatch) -> None:
    def failing(head: Head, kept: Tensor | None, tile: Tile) -> Tensor:
        if tile != TILES[2]:
            raise RuntimeError("out of shared memory")
        return fused.sums(head, kept)

    fake_gpu.setattr(triton_head, "sums", failing)
    choice = measure(make_head(), True, timing(2.0, 1.0))
    assert [maker for maker, _ in choice.seconds] == [PYTORCH, Maker(TILES[2])]
    fake_gpu.setattr(triton_head, "TILES", TILES[:2])
    assert measure(make_head(), True, timing(1.0)).maker == PYTORCH
    with pytest.raises(ConfigError, match="can't be compiled"):
        measure(make_head("triton"), True)


def test_measuring_draws_no_numbers_and_computes_some_columns(fake_gpu: pytest.MonkeyPatch) -> None:
    fake_gpu.setattr(kernel_choice, "COLUMNS", 8)
    widths = []
    real = fused.sums
    fake_gpu.setattr(
        triton_head,
        "sums",
        lambda head, kept, _: (widths.append(head.sums_shape[2]), real(head, kept))[1],
    )
    head = make_head()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    measure(head, True, timing(1.0))
    assert torch.equal(torch.rand(3), expected)
    assert set(widths) == {8}


def test_only_training_asks_who_is_fastest(fake_gpu: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def asking(head: Head, keep: bool) -> Maker:
        asked.append(head.kernel)
        return PYTORCH

    fake_gpu.setattr("c2f_train.pooling.operator.maker_of", asking)
    x = torch.rand(2, 8, 3, 3)
    pooling = MultiLinearPooling(8, 16)
    with torch.no_grad():
        pooling(x, x, x)
    pooling(x, x, x).sum().backward()
    assert asked == ["torch", "auto", "auto"]
    demanded = MultiLinearPooling(8, 16, kernel="triton")
    with torch.no_grad():
        demanded(x, x, x)
    assert asked[3:] == ["triton"]


def test_triton_on_a_cpu_is_refused() -> None:
    x = torch.rand(1, 8, 2, 2)
    with pytest.raises(ConfigError, match="Triton can't compute"):
        MultiLinearPooling(8, 16, kernel="triton")(x, x, x)
    with pytest.raises(ConfigError, match="no kernel 'cuda'"):
        MultiLinearPooling(8, 16, kernel="cuda")  # type: ignore[arg-type]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("compute", [torch.bfloat16, torch.float16])
def test_on_a_gpu_every_maker_equals_the_plain_formula(compute: torch.dtype, keep: bool) -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(5, c, 13, 11) for c in (64, 96, 40)]
    inputs += [torch.randn(328, c) / c**0.5 for c in (64, 96, 40)]
    inputs += [torch.randn(328) for _ in range(3)]
    inputs = [t.to(compute).float().cuda() for t in inputs]
    exact = [t.double().requires_grad_() for t in inputs]
    plain = plain_sums(Head(exact[:3], exact[3:6], exact[6:], True, torch.float64))
    g = torch.randn(plain.shape, device="cuda")
    expected = torch.autograd.grad(plain, exact, g.double())
    head = Head(inputs[:3], inputs[3:6], inputs[6:], True, compute)
    assert triton_head.can_run(head)
    tolerance = 3e-2 if compute == torch.bfloat16 else 4e-3
    for maker in (PYTORCH, *map(Maker, TILES)):
        kept = torch.empty(head.kept_shape, dtype=compute, device="cuda") if keep else None
        p = maker.sums(head, kept)
        found = maker.gradients(head, g, p, kept, (True,) * 9)
        for one, other in zip((p, *found), (plain, *expected), strict=True):
            assert one is not None
            scale = float(other.abs().max())
            torch.testing.assert_close(
                one, other, rtol=tolerance, atol=tolerance * scale, check_dtype=False
            )
