"""A camera that was moved is told from hands that fit a little worse."""

import numpy as np

from runtime.calibration.motion_monitor import MIN_USUAL, MOVED_NS, MOVED_PAIRS, MotionMonitor, residual
from tests.runtime.calibration.claims import keyframes_of, seen
from tests.runtime.solutions import turned


def test_residuals_of_a_turned_camera_are_those_of_a_moved_one():
    observed = seen(2, 60, seconds=4)
    pairs, geometry = keyframes_of(observed).pairs, observed.rig.geometry
    usual = MotionMonitor.of(geometry, pairs[:12])
    assert usual.usual_residual >= MIN_USUAL
    assert not any(usual.moved(pair) for pair in pairs)
    elsewhere = MotionMonitor(turned(geometry, 20), usual.usual_residual)
    moved = [elsewhere.moved(pair) for pair in pairs]
    assert moved.index(True) >= MOVED_PAIRS - 1
    assert np.median([residual(elsewhere.geometry, pair) for pair in pairs]) > 2 * usual.usual_residual
    assert elsewhere.recent[-1][0] - elsewhere.recent[0][0] <= MOVED_NS
