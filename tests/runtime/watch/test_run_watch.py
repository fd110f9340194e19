"""Findings come and go with what is the case; a rendered hand before the real pipeline gives none, and does so mirrored."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from capture.frames import Frame, FramePair
from capture.sources.synthetic import SyntheticSource
from capture.views import PerView, View
from hand.camera import PinholeCamera
from hand.findings import Findings
from runtime.calibration.status import CalibrationStatus
from runtime.estimators.registry import EstimatorOptions, load_estimator
from runtime.pipeline import Pipeline
from runtime.watch.run_watch import RunWatch
from tests.runtime.watch.watching import noisy, scene, watched, with_hand

PAIRS = 100


def test_a_finding_is_logged_once_and_withdrawn_with_its_cause(caplog):
    caplog.set_level(logging.INFO)
    findings = Findings()
    watch = RunWatch(findings, lambda: CalibrationStatus())
    rng = np.random.default_rng(0)
    for part, right in enumerate((1, 2, 1)):
        for number in range(part * 60, part * 60 + 60):
            left_image, right_image = (with_hand(scene(seed), number) for seed in (1, right))
            pair = watched(number, images=PerView(noisy(left_image, rng), noisy(right_image, rng))).pair
            watch.take(pair, [])
        assert [finding.kind for finding in findings.all] == ["same_camera"] * (right == 1)
        assert ("see the findings" in str(watch.calibration.figures.sentence)) == (right == 1)
    assert len(caplog.records) == 1


@pytest.fixture(scope="module")
def rendered() -> list[FramePair]:
    """Pairs of the synthetic headset."""

    def frames(view: View) -> list[Frame]:
        shots = zip(range(PAIRS), SyntheticSource(view).frames(0, paced=False), strict=False)
        return [Frame(view, seq, captured_ns, captured_ns, image) for _, (seq, captured_ns, image) in shots]

    return [FramePair(left, right) for left, right in zip(frames("left"), frames("right"), strict=True)]


def found(pairs: list[FramePair], options: EstimatorOptions) -> list[str]:
    """Kinds of what is found while the real pipeline runs over these pairs."""
    height, width = pairs[0].left.image.shape[:2]
    cameras = PerView.of(lambda view: PinholeCamera.from_fov(width, height, SyntheticSource.fov_deg))
    estimator = load_estimator("detnet", options).make(cameras.map(lambda camera: camera.size_px))
    pipeline, findings = Pipeline(estimator, cameras), Findings()
    watch = RunWatch(findings)
    for pair in pairs:
        watch.take(pair, pipeline.step(pair))
    return [finding.kind for finding in findings.all]


def test_a_rendered_hand_gives_no_finding_and_its_mirrored_view_does(rendered, shipped):
    options = EstimatorOptions("onnx", threads=1)
    assert found(rendered, options) == []
    mirrored = [
        replace(pair, right=replace(pair.right, image=np.ascontiguousarray(pair.right.image[:, ::-1]))) for pair in rendered
    ]
    assert found(mirrored, options) == ["view_mirrored"]
