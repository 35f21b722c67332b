"""Labels, roll-up, entry points and the checks that every external classifier goes through."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from external_samples import CPU, LABELS, NAMES, OUTPUTS, TREE, pixels, write_labels
from torch import Tensor, nn

from c2f_data.errors import C2FError, ConfigError
from c2f_data.taxonomy import Taxonomy
from c2f_train.external import (
    External,
    ExternalClassifier,
    ExternalRequest,
    Kind,
    load_external,
    parse_word,
)
from c2f_train.external.labels import match_labels, read_labels
from c2f_train.external.normalise import Normalised, parse_normalisation

Load = Callable[..., External]

SCORES = """
import torch
def scores(images):
    means = images.float().mean((2, 3))
    return means @ torch.arange(18.0).view(3, 6).sin() / 10
"""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """``load(code, function)``: an entry point in a file of its own, with the labels."""

    def make(
        code: str = SCORES,
        function: str = "scores",
        labels: tuple[str, ...] = LABELS,
        **options: object,
    ) -> External:
        path = tmp_path / "mine.py"
        path.write_text(code, encoding="utf-8")
        given = {"labels": write_labels(tmp_path, labels), "input_size": 16} | options
        request = ExternalRequest(f"{path}:{function}", **given)  # type: ignore[arg-type]
        return load_external(request, TREE, CPU)

    return make


def expected(images: Tensor) -> Tensor:
    return images.float().mean((2, 3)) @ torch.arange(18.0).view(3, 6).sin() / 10


def test_words() -> None:
    def kind(word: str) -> Kind | None:
        parsed = parse_word(word)
        return parsed.kind if parsed else None

    assert [kind(w) for w in ("auto", "probe", "finetune", "runs/model", "C:\\runs\\model")] == [
        None
    ] * 5
    assert kind("timm:resnet50.a1_in1k") is Kind.TIMM
    assert kind("torchvision:resnet50") is Kind.TORCHVISION
    assert kind("a:b/model.onnx") is Kind.ONNX
    assert kind("model.PT2") is Kind.EXPORTED
    assert kind("my.module:Model.scores") is Kind.ENTRY_POINT
    assert kind("C:\\mine\\model.py:scores") is Kind.ENTRY_POINT
    with pytest.raises(ConfigError, match="names no model"):
        parse_word("timm:")
    with pytest.raises(ConfigError, match="weights without the network"):
        parse_word("best.pth")


def test_levels_are_the_plain_sums_of_its_own_softmax(load: Load) -> None:
    external = load()
    images = pixels()
    levels = external.classifier.all_logits(images)
    own = expected(images).softmax(dim=1)
    species = own[:, OUTPUTS]
    genus = torch.stack([species[:, 0] + species[:, 1], species[:, 2], species[:, 3]], dim=1)
    family = torch.stack([species[:, :3].sum(dim=1), species[:, 3]], dim=1)
    outside = own[:, [1, 5]]
    for level, plain in zip(levels, (family, genus, species), strict=True):
        torch.testing.assert_close(level.softmax(dim=1), torch.cat([plain, outside], dim=1))
    assert external.classifier.outside == 2
    assert "2 of its 6 outputs" in external.notes[0]


def test_closed_leaves_the_other_outputs_out(load: Load) -> None:
    external = load(closed=True)
    images = pixels()
    family, genus, species = (x.softmax(dim=1) for x in external.classifier.all_logits(images))
    torch.testing.assert_close(species, expected(images)[:, OUTPUTS].softmax(dim=1))
    torch.testing.assert_close(family[:, 0], species[:, :3].sum(dim=1))
    assert (family.shape[1], genus.shape[1], species.shape[1]) == (2, 3, 4)
    assert external.key != load().key


def test_the_order_of_the_labels_does_not_matter(load: Load) -> None:
    order = [3, 0, 5, 1, 2, 4]
    permuted = SCORES.replace("/ 10", f"/ 10\ndef permuted(x):\n    return scores(x)[:, {order}]")
    one = load().classifier.all_logits(pixels())
    two = load(permuted, "permuted", tuple(LABELS[i] for i in order)).classifier.all_logits(
        pixels()
    )
    for mine, theirs in zip(one, two, strict=True):
        counts = mine.shape[1] - 2
        torch.testing.assert_close(mine[:, :counts], theirs[:, :counts])


def test_probabilities_are_taken_as_they_are(load: Load) -> None:
    plain = load().classifier.all_logits(pixels())
    external = load(
        SCORES.replace("/ 10", "/ 10\ndef shares(x):\n    return scores(x).softmax(1)"), "shares"
    )
    assert external.classifier.probabilities
    for mine, theirs in zip(plain, external.classifier.all_logits(pixels()), strict=True):
        torch.testing.assert_close(mine.softmax(dim=1), theirs.softmax(dim=1))


def test_a_share_that_underflows_still_ranks_the_classes() -> None:
    network = nn.Module()
    classifier = ExternalClassifier(
        network, "x", match_labels(LABELS, TREE, "x"), len(LABELS), TREE
    )
    scores = torch.tensor([[-300.0, 500.0, -301.0, -400.0, -300.5, 0.0]])
    family, _, species = classifier.roll_up(scores)
    assert family[0, 0] > family[0, 1]
    assert species.isfinite().all()
    assert family.isfinite().all()
    assert int(family.argmax()) == 2  # the tench, the first column behind two families


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("return images.float().mean((2, 3))", "3 scores, .*labels.txt has 6 labels"),
        ("return images.float().mean((1, 2, 3))[:, None]", "1 score an image"),
        ("return images.float().mean((1, 2, 3))", r"gives shape \(2,\)|gives shape \(1,\)"),
        ("return [1, 2]", "list"),
        ("return images.float().mean((2, 3)).repeat(1, 2) * float('nan')", "not finite"),
        ("return {}['scores']", "KeyError: 'scores'"),
        (
            "f = images.float(); f = f - f.mean(0)\n    return f.mean((2, 3)).repeat(1, 2)",
            "images beside it",
        ),
        ("import torch; return torch.rand(len(images), 6)", "from call to call"),
    ],
)
def test_answers_that_are_no_scores_are_refused(load: Load, body: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        load(f"def scores(images):\n    {body}\n")
    assert caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("code", "function", "problem"),
    [
        ("raise RuntimeError('no disk')", "scores", "RuntimeError: no disk"),
        ("import sys; sys.exit(3)", "scores", "SystemExit: 3"),
        ("def scores(:", "scores", "SyntaxError"),
        ("import nowhere_to_be_found", "scores", "No module named"),
        (SCORES, "score", "has no 'score'"),
        ("scores = 3", "scores", "is no function"),
        ("class scores: pass", "scores", "is no function"),
    ],
)
def test_entry_points_that_fail_are_named(
    load: Load, code: str, function: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(code, function)


def test_an_entry_point_may_give_numpy_and_print(
    load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    code = SCORES.replace("return means", "print('hello')\n    return means").replace(
        "/ 10", "/ 10\nprint('at import')\ndef array(x):\n    return scores(x).numpy()"
    )
    external = load(code, "array")
    torch.testing.assert_close(external.classifier.scores(pixels()), expected(pixels()))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "at import" in printed.err


def test_a_module_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_in_a_folder.py").write_text(SCORES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/nowhere"])
    request = ExternalRequest("mine_in_a_folder:scores", write_labels(tmp_path), input_size=16)
    external = load_external(request, TREE, CPU)
    assert external.spec.crop == 16
    torch.testing.assert_close(external.classifier.scores(pixels()), expected(pixels()))
    with pytest.raises(ConfigError, match="No module named"):
        load_external(replace(request, word="nowhere_at_all:scores"), TREE, CPU)
    with pytest.raises(ConfigError, match="no such file"):
        load_external(replace(request, word="nowhere.py:scores"), TREE, CPU)


def test_the_key_knows_code_weights_and_labels(load: Load, tmp_path: Path) -> None:
    code = SCORES + "W = torch.load('{}')\ndef weighted(x):\n    return scores(x) + W\n"
    weights = tmp_path / "w.pt"
    code = code.format(weights)
    torch.save(torch.zeros(6), weights)
    first = load(code, "weighted").key
    assert load(code, "weighted").key == first
    assert load(code + "# a comment", "weighted").key != first
    assert load(code, "weighted", (*LABELS[1:], LABELS[0])).key != first
    torch.save(torch.arange(6.0), weights)
    assert load(code, "weighted").key != first


def test_a_failure_in_the_middle_of_the_work_is_one_line(load: Load) -> None:
    code = SCORES.replace("    means", "    if len(images) == 5:\n        1 / 0\n    means")
    classifier = load(code).classifier
    with pytest.raises(C2FError, match="ZeroDivisionError"):
        classifier.all_logits(pixels(5))


def test_a_missing_class_is_named() -> None:
    labels = [name for name in LABELS if name != "003.Herring_Gull"]
    with pytest.raises(ConfigError, match=r"1 of 4 classes \(Herring Gull\)"):
        match_labels(labels, TREE, "labels.txt")


def test_two_outputs_of_one_class_are_refused_unless_the_data_set_lacks_it() -> None:
    assert match_labels((*LABELS, "tench"), TREE, "x").tolist() == OUTPUTS
    with pytest.raises(ConfigError, match=r"outputs 0 \('Magpie'\) and 6 \('magpie'\)"):
        match_labels((*LABELS, "magpie"), TREE, "x")


def test_synonyms_and_parents() -> None:
    tree = Taxonomy(
        "t", ("genus", "species"), (("Tinca", "tench"), ("Tyto", "alba"), ("Motacilla", "alba"))
    )
    labels = ("Motacilla alba", "tench, Tinca tinca", "Tyto_alba")
    assert match_labels(labels, tree, "x").tolist() == [1, 2, 0]
    with pytest.raises(ConfigError, match="no output for 1 of 3"):
        match_labels(("alba", *labels[:2]), tree, "x")


def test_label_files(tmp_path: Path) -> None:
    def read(text: bytes, name: str = "labels.txt") -> tuple[str, ...]:
        (tmp_path / name).write_bytes(text)
        return read_labels(tmp_path / name)

    assert read("\ufeffa\r\nb c\r\n\r\n".encode()) == ("a", "b c")
    assert read(json.dumps(["a", " b"]).encode(), "labels.json") == ("a", "b")
    for text, problem in [
        (b"a\n\nb\n", "line 2: no name"),
        (b"\n \n", "no labels"),
        (b"", "no labels"),
        (b'["a", 3]', "entry 1 is 3"),
        (b"[]", "not a list"),
        (b'["a"', "not valid JSON"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ]:
        with pytest.raises(ConfigError, match=problem):
            read(text)
    with pytest.raises(ConfigError, match="No such file"):
        read_labels(tmp_path / "absent.txt")


def test_labels_are_required_where_nothing_carries_them() -> None:
    with pytest.raises(ConfigError, match="not known") as caught:
        load_external(ExternalRequest("os.path:join"), TREE, CPU)
    assert "--labels" in caught.value.hint


def test_settings_that_have_no_meaning(load: Load) -> None:
    with pytest.raises(ConfigError, match="--weights with"):
        load(weights="x.pth")
    with pytest.raises(ConfigError, match="--normalise with"):
        load(normalise="unit")
    with pytest.raises(ConfigError, match="no classifier of that name"):
        load_external(ExternalRequest("probe"), TREE, CPU)


def test_normalisations() -> None:
    class Same(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    white = torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)
    for text, values in [
        ("unit", [1, 1, 1]),
        ("signed", [1, 1, 1]),
        ("bytes", [255, 255, 255]),
        ("imagenet", [(1 - m) / s for m, s in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))]),
        ("0.5,0.25,0/0.5,0.25,0.125", [1, 3, 8]),
    ]:
        given = Normalised(Same(), parse_normalisation(text))(white).flatten()
        torch.testing.assert_close(given, torch.tensor(values, dtype=torch.float32))
    for text in ("caffe", "1,1/1,1", "0,0,0/1,1,0", "0,0,0/1,1,nan", "0,0,0"):
        with pytest.raises(ConfigError, match="not a normalisation"):
            parse_normalisation(text)


def test_every_class_name_of_the_tree_is_its_own_label() -> None:
    assert match_labels(NAMES, TREE, "x").tolist() == [0, 1, 2, 3]
