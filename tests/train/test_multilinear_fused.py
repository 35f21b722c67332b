"""The head's blocks and its hand-written derivatives against autograd and the plain formula."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from c2f_data.errors import ConfigError
from c2f_train.pooling import fused, products
from c2f_train.pooling.fused import block_shape
from c2f_train.pooling.head import Head, plain_sums
from c2f_train.pooling.multilinear import KEEP_AT_MOST, Memory, MultiLinearPooling
from c2f_train.pooling.operator import multilinear_sums

MODES: tuple[Memory, ...] = ("keep", "recompute")


def make_head(
    batch: int,
    channels: Sequence[int],
    size: tuple[int, int],
    dim: int,
    *,
    trilinear: bool = True,
    dtype: torch.dtype = torch.float64,
    compute: torch.dtype | None = None,
    needs: Sequence[bool] = (True,) * 9,
) -> Head:
    torch.manual_seed(0)
    shapes = [(batch, c, *size) for c in channels]
    shapes += [(dim, c) for c in channels]
    tensors = [torch.randn(shape, dtype=dtype) for shape in (*shapes, *[(dim,)] * 3)]
    for tensor, need in zip(tensors, needs, strict=True):
        tensor.requires_grad_(need)
    return Head(tensors[:3], tensors[3:6], tensors[6:], trilinear, compute or dtype)


def inputs_of(head: Head) -> list[Tensor]:
    return [*head.maps, *head.weights, *head.biases]


def gradients_of(p: Tensor, head: Head) -> list[Tensor | None]:
    torch.manual_seed(1)
    g = torch.randn(p.shape, dtype=torch.float64).to(p.dtype)
    needed = [t for t in inputs_of(head) if t.requires_grad]
    found = iter(torch.autograd.grad(p, needed, g))
    return [next(found) if t.requires_grad else None for t in inputs_of(head)]


sizes = st.integers(1, 5)


@settings(max_examples=60)
@given(
    batch=sizes,
    channels=st.tuples(sizes, sizes, sizes),
    size=st.tuples(sizes, sizes),
    dim=st.integers(1, 9),
    block=st.tuples(st.integers(1, 6), st.integers(1, 10), st.integers(1, 10)),
    trilinear=st.booleans(),
    keep=st.booleans(),
    layout=st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_sums_and_gradients_equal_the_plain_formula(
    batch: int,
    channels: tuple[int, int, int],
    size: tuple[int, int],
    dim: int,
    block: tuple[int, int, int],
    trilinear: bool,
    keep: bool,
    layout: torch.memory_format,
) -> None:
    head = make_head(batch, channels, size, dim, trilinear=trilinear)
    maps = [m.detach().contiguous(memory_format=layout).requires_grad_() for m in head.maps]
    head = Head(maps, head.weights, head.biases, trilinear, head.compute)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused, "block_shape", lambda *_: block)
        p = multilinear_sums(head, keep)
        found = gradients_of(p, head)
    plain = plain_sums(head)
    torch.testing.assert_close(p, plain, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(found, gradients_of(plain, head), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("trilinear", [True, False])
@pytest.mark.parametrize("root", ["exact", "damped"])
def test_first_and_second_derivatives(
    monkeypatch: pytest.MonkeyPatch, mode: Memory, trilinear: bool, root: str
) -> None:
    monkeypatch.setattr(fused, "block_shape", lambda *_: (2, 4, 2))
    torch.manual_seed(2)
    pooling = MultiLinearPooling((2, 3, 2), 3, trilinear=trilinear, memory=mode).double()
    maps = [torch.rand(3, c, 2, 1, dtype=torch.float64, requires_grad=True) for c in (2, 3, 2)]
    names = [name for name, _ in pooling.named_parameters()]

    def run(*inputs: Tensor) -> Tensor:
        weights = dict(zip(names, inputs[3:], strict=True))
        features: Tensor = torch.func.functional_call(pooling, weights, inputs[:3])
        return features

    everything = (*maps, *pooling.parameters())
    assert torch.autograd.gradcheck(run, everything)
    # Along drawn directions instead of every input's own: a fifth of the time.
    assert torch.autograd.gradgradcheck(run, everything, fast_mode=True)


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("frozen", ["maps", "projections", "x and v", "biases"])
def test_only_what_needs_a_gradient_gets_one(
    monkeypatch: pytest.MonkeyPatch, frozen: str, keep: bool
) -> None:
    needs = {
        "maps": [False] * 3 + [True] * 6,
        "projections": [True] * 3 + [False] * 6,
        "x and v": [False, True, True, True, False, True, True, False, True],
        "biases": [True] * 6 + [False] * 3,
    }[frozen]
    made = []
    real = fused.accumulate
    monkeypatch.setattr(
        fused, "accumulate", lambda *tensors: (made.append(tensors[0].shape), real(*tensors))
    )
    head = make_head(2, (3, 4, 5), (3, 2), 6, needs=needs)
    found = gradients_of(multilinear_sums(head, keep), head)
    assert [t is not None for t in found] == needs
    # One product of matrices for a map or weight that needs a gradient, none for the others.
    assert len(made) == sum(needs[:6])
    torch.testing.assert_close(found, gradients_of(plain_sums(head), head))


def test_nothing_is_saved_where_nothing_needs_a_gradient() -> None:
    pooling = MultiLinearPooling(3, 4, memory="keep")
    x = torch.rand(2, 3, 4, 4)
    with torch.no_grad():
        assert not pooling(x, x, x).requires_grad
    pooling.requires_grad_(False)
    assert not pooling(x, x, x).requires_grad
    assert pooling(x.requires_grad_(), x, x).requires_grad


def saved_numbers(pooling: MultiLinearPooling, x: Tensor) -> int:
    """How many numbers autograd keeps that are neither inputs nor features."""
    known = {t.data_ptr() for t in (x, *pooling.parameters())}
    sizes = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in known:
            sizes[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        pooling(x, x, x)
    return sum(sizes.values())


def test_the_projections_are_kept_or_not() -> None:
    x = torch.rand(2, 3, 10, 10)
    pooling = MultiLinearPooling(3, 16)
    projections = 3 * 2 * 100 * 16
    saved = {mode: saved_numbers(pooling_in(pooling, mode), x) for mode in (*MODES, "auto")}
    assert projections <= saved["keep"] < 1.2 * projections
    assert saved["recompute"] < 0.2 * projections
    assert saved["auto"] == saved["keep"]


def pooling_in(pooling: MultiLinearPooling, mode: Memory) -> MultiLinearPooling:
    pooling.memory = mode
    return pooling


@pytest.mark.parametrize(("batch", "keeps"), [(8, True), (16, False)])
def test_auto_keeps_up_to_a_gibibyte(batch: int, keeps: bool) -> None:
    assert (batch * 784 * 8192 * 3 * 4 <= KEEP_AT_MOST) is keeps
    with torch.device("meta"):
        pooling = MultiLinearPooling(512)
        x = torch.empty(batch, 512, 28, 28)
        head = Head((x, x, x), [pooling.u.weight] * 3, [pooling.u.bias] * 3, True, torch.float32)
        assert pooling._keeps(head) is keeps


@pytest.mark.parametrize("mode", MODES)
def test_bfloat16_multiplies_narrow_and_adds_wide(mode: Memory) -> None:
    """Small whole numbers are exact in bfloat16, sums of 400 of their products only in float32."""
    head = make_head(2, (8, 8, 8), (20, 20), 24, dtype=torch.float32, compute=torch.bfloat16)
    with torch.no_grad():
        for tensor in inputs_of(head):
            tensor.round_().clamp_(-2, 2)
    p = multilinear_sums(head, mode == "keep")
    assert p.dtype == torch.float32
    exact = Head(
        [m.detach().bfloat16().double().requires_grad_() for m in head.maps],
        [w.detach().bfloat16().double().requires_grad_() for w in head.weights],
        [b.detach().bfloat16().double().requires_grad_() for b in head.biases],
        head.trilinear,
        torch.float64,
    )
    assert torch.equal(p.double(), plain_sums(exact))
    for gradient, wide in zip(
        gradients_of(p, head), gradients_of(plain_sums(exact), exact), strict=True
    ):
        assert gradient is not None
        assert wide is not None
        assert gradient.dtype == torch.float32
        # A gradient is a long sum of numbers rounded to 8 bits.
        assert (gradient - wide).norm() < 0.02 * wide.norm()


def test_autocast_leaves_float32_gradients_and_no_cast_copies() -> None:
    pooling = MultiLinearPooling(4, 6)
    maps = [torch.rand(2, 4, 3, 3).bfloat16().requires_grad_() for _ in range(3)]
    with torch.autocast("cpu", torch.bfloat16):
        features = pooling(*maps)
    features.sum().backward()
    assert features.dtype == torch.float32
    assert {p.grad.dtype for p in pooling.parameters() if p.grad is not None} == {torch.float32}
    assert {m.grad.dtype for m in maps if m.grad is not None} == {torch.bfloat16}
    # Without autocast the parameters decide.
    assert pooling(*maps).dtype == torch.float32
    assert pooling.double()(*[m.double() for m in maps]).dtype == torch.float64


def test_gradients_keep_the_layout_of_the_maps() -> None:
    for layout in (torch.contiguous_format, torch.channels_last):
        maps = [torch.rand(2, 5, 3, 4).to(memory_format=layout).requires_grad_() for _ in range(3)]
        features = MultiLinearPooling(5, 6)(*maps)
        for gradient in torch.autograd.grad(features.sum(), maps):
            assert gradient.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("half", [False, True])
def test_compiles_in_one_graph(mode: Memory, half: bool) -> None:
    torch._dynamo.reset()
    pooling = MultiLinearPooling((4, 6, 4), 10, memory=mode)
    maps = [torch.rand(2, c, 3, 3, requires_grad=True) for c in (4, 6, 4)]
    everything = (*maps, *pooling.parameters())
    compiled = torch.compile(pooling, fullgraph=True, backend="aot_eager")
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        eager, quick = pooling(*maps), compiled(*maps)
    torch.testing.assert_close(quick, eager)
    g = torch.rand(eager.shape)
    torch.testing.assert_close(
        torch.autograd.grad(quick, everything, g), torch.autograd.grad(eager, everything, g)
    )
    with torch.no_grad():
        torch.testing.assert_close(compiled(*maps), pooling(*maps))


@pytest.mark.parametrize("keep", [True, False])
def test_the_operator_is_what_it_declares(keep: bool) -> None:
    head = make_head(2, (2, 3, 2), (2, 3), 5, dtype=torch.float32)
    arguments = (
        list(head.maps),
        list(head.weights),
        list(head.biases),
        True,
        head.compute,
        "auto",
        keep,
    )
    torch.library.opcheck(torch.ops.c2f.multilinear_sums, arguments)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_an_export_holds_plain_operators() -> None:
    pooling = MultiLinearPooling((3, 4, 3), 7)
    maps = tuple(torch.rand(2, c, 4, 4) for c in (3, 4, 3))
    expected = pooling(*maps).detach()
    exported = torch.export.export(pooling, maps)
    assert not [n for n in exported.graph.nodes if "c2f" in str(n.target)]
    torch.testing.assert_close(exported.module()(*maps), expected)

    runtime = pytest.importorskip("onnxruntime")
    file = io.BytesIO()
    torch.onnx.export(pooling, maps, file, dynamo=False, input_names=["x", "y", "z"])
    session = runtime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (features,) = session.run(None, {k: m.numpy() for k, m in zip("xyz", maps, strict=True)})
    torch.testing.assert_close(torch.from_numpy(features), expected)


@pytest.mark.parametrize("has_onednn", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_products_are_the_same_by_either_library(
    monkeypatch: pytest.MonkeyPatch, has_onednn: bool, dtype: torch.dtype
) -> None:
    if not has_onednn:
        monkeypatch.setattr(products, "_has_onednn", lambda _: False)
    torch.manual_seed(0)
    rows, weight, bias = torch.randn(7, 5), torch.randn(6, 5), torch.randn(6)
    rows, weight, bias = (t.to(dtype).double() for t in (rows, weight, bias))
    out = products.project(rows.to(dtype), weight.to(dtype), bias.to(dtype))
    assert out.dtype == dtype
    close = {torch.float32: 1e-6, torch.bfloat16: 2e-2, torch.float64: 1e-14}[dtype]
    torch.testing.assert_close(out.double(), rows @ weight.t() + bias, rtol=close, atol=close)

    wide = torch.float32 if dtype == torch.bfloat16 else dtype
    # A part of a larger tensor, as a block's share of a weight's gradient is.
    total = torch.ones(9, 6, dtype=wide)
    products.accumulate(total[2:7], rows.t().to(dtype), out)
    expected = 1 + rows.t() @ out.double()
    torch.testing.assert_close(total[2:7].double(), expected, rtol=close, atol=4 * close)
    assert (total[:2] == 1).all()
    assert (total[7:] == 1).all()


@pytest.mark.parametrize(
    ("batch", "locations", "dim"),
    [(8, 784, 8192), (8, 49, 8192), (1, 1, 1), (2, 100_000, 8192), (64, 784, 8192), (8, 784, 10)],
)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_blocks_fit(device: str, batch: int, locations: int, dim: int) -> None:
    images, columns, tile = block_shape(torch.device(device), batch, locations, dim)
    assert 1 <= images <= batch
    assert min(dim, fused.LEAST_COLUMNS) <= tile <= columns <= dim
    limit = fused.CPU_BLOCK if device == "cpu" else fused.GPU_BLOCK
    assert images * locations * columns <= limit or columns == fused.LEAST_COLUMNS
    if device == "cpu":
        assert images * locations * tile <= fused.CPU_TILE or tile == fused.LEAST_COLUMNS


def test_refusals() -> None:
    pooling = MultiLinearPooling((3, 4, 3), 5)
    x, y = torch.rand(2, 3, 4, 4), torch.rand(2, 4, 4, 4)
    with pytest.raises(ConfigError, match=r"got maps of \(2, 3, 4, 4\), \(2, 3, 4, 4\)"):
        pooling(x, x, x)
    with pytest.raises(ConfigError, match="maps of one size with 3, 4, 3 channels"):
        pooling(x, y, x[:, :, :2])
    with pytest.raises(ConfigError, match=r"no memory 'little' .*\nChoose one of auto, keep"):
        MultiLinearPooling(3, 4, memory="little")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no root 'cubic'"):
        MultiLinearPooling(3, 4, root="cubic")  # type: ignore[arg-type]


def test_parameters_keep_their_names() -> None:
    names = [name for name, _ in MultiLinearPooling(3, 4).named_parameters()]
    assert names == ["u.weight", "u.bias", "v.weight", "v.bias", "w.weight", "w.bias"]
