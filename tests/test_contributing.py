"""The examples of CONTRIBUTING.md run as they are printed: a camera source, an estimator, an output, a label method."""

import re
import sys
from dataclasses import replace
from types import ModuleType
from typing import get_args

import numpy as np
import pytest
import torch

from adapt.core.targets import LABEL_METHODS, LabelMethod, LabelSource, Recipe, TwoViewPredictions, pseudo_labels
from capture.sources.base import DEFAULT_MODE
from capture.sources.registry import SourceKind
from capture.views import PerView
from hand.camera import PinholeCamera
from hand.errors import UserError
from runtime.estimators.registry import EstimatorOptions
from tests.paths import ROOT
from tests.runtime.dual_hands import dual_hand, frame_pair

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def module_with(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The printed module that defines `name`, as if its file were there."""
    [source] = [block for block in BLOCKS if f"class {name}" in block]
    module = ModuleType(f"contributing_{name.lower()}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def test_the_camera_source_yields_the_frames_of_its_array(tmp_path, monkeypatch):
    module = module_with("ArrayFile", monkeypatch)
    [entry] = [block for block in BLOCKS if block.startswith("SourceKind(")]
    printed: SourceKind = eval(entry, {"SourceKind": SourceKind})
    kind = SourceKind(printed.pattern, module.__name__, printed.spec, printed.form)
    path = tmp_path / "left.npy"
    np.save(path, np.array([0, 10, 20], np.uint8)[:, None, None, None] + np.zeros((1, 48, 64, 3), np.uint8))
    spec = kind.parse(f"array:{path}", secured=False)
    assert spec is not None and not spec.lasting and spec.files == (path,) and kind.parse("0", secured=False) is None
    shots = list(spec.open("left", paced=False, mode=DEFAULT_MODE).frames(5))
    assert [(shot.seq, int(shot.image.max())) for shot in shots] == [(0, 0), (1, 10), (2, 20)]
    assert shots[0].captured_ns == 5 and np.all(np.diff([shot.captured_ns for shot in shots]) > 0)
    with pytest.raises(UserError, match="there is no file"):
        kind.parse(f"array:{tmp_path / 'none.npy'}", secured=False)
    np.save(path, np.zeros((3, 48, 64)))
    with pytest.raises(UserError, match=r"\(3, 48, 64\) of float64: expected \(N, H, W, 3\)"):
        kind.parse(f"array:{path}", secured=False).open("left", paced=False, mode=DEFAULT_MODE)  # pyright: ignore[reportOptionalMemberAccess]


def test_the_estimator_sees_its_hand_in_both_views(monkeypatch):
    loaded = module_with("StillEstimator", monkeypatch).load_still(EstimatorOptions())
    estimator = loaded.make(PerView((6, 4), (6, 4)))
    camera = PinholeCamera.from_fov(6, 4, 60.0)
    hands = estimator(frame_pair(0), PerView(camera, camera))
    for view, hand in hands.items():
        assert hand is not None and hand.view == view and hand.pixels.shape == (21, 2)
        np.testing.assert_allclose(np.linalg.norm(hand.joints[9] - hand.joints[0]), 1)


def test_the_output_writes_a_line_for_each_hand_with_a_position(tmp_path, monkeypatch):
    table = module_with("WristTable", monkeypatch).WristTable(tmp_path / "new" / "wrists.csv")
    pair = frame_pair(0)
    hand = dual_hand(pair)
    table.take(pair, [hand, replace(hand, wrist_mm=np.array([1.0, -2.0, 300.0]))])
    table.close()
    assert (
        tmp_path / "new" / "wrists.csv"
    ).read_text() == f"captured_ns,x_mm,y_mm,z_mm\n{hand.timings.captured_ns},1.0,-2.0,300.0\n"


def test_label_method_trains_on_the_merged_hand_only():
    [entry] = [block for block in BLOCKS if block.startswith('"merged"')]
    printed: dict[str, LabelMethod] = eval(f"{{{entry}}}", {"LabelMethod": LabelMethod, "Recipe": Recipe})
    method = printed["merged"]
    joints = PerView.of(lambda view: torch.randn(4, 21, 3, generator=torch.Generator().manual_seed(int(view == "left"))))
    confidence, visible = joints.map(lambda x: torch.full(x.shape[:2], 0.5)), joints.map(lambda x: torch.ones(x.shape[:2]).bool())
    seen = TwoViewPredictions(joints, confidence, visible)
    rotation = torch.eye(3)
    labels = pseudo_labels(seen, rotation, 0, method.recipe).joints.map(lambda x: x - x[:, :1])
    lengths = labels.map(lambda x: x[:, 9].norm(dim=-1)[:, None, None])
    torch.testing.assert_close(labels.left / lengths.left, labels.right / lengths.right)


def test_every_label_source_has_its_method():
    assert tuple(LABEL_METHODS) == get_args(LabelSource)
