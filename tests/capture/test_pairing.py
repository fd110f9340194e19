"""Laws of pairing: every frame once, in order, within tolerance, nearest, without needless delay."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.frames import Frame, FramePair
from capture.pairing import Pairer
from capture.views import VIEWS, View
from tests.paths import SHARED

BLANK = np.zeros((1, 1, 3), np.uint8)
VECTORS = SHARED / "vectors" / "approximate_time.json"
PERIOD = 1000


def frame(view: View, captured_ns: int) -> Frame:
    return Frame(view, 0, captured_ns, captured_ns, BLANK)


def times(pairs: list[FramePair]) -> list[tuple[int, int]]:
    return [(pair.left.captured_ns, pair.right.captured_ns) for pair in pairs]


def run(pairer: Pairer, arrivals: list[tuple[View, int]], *, finish: bool = True) -> list[tuple[int, int]]:
    """Push all frames and end both views; returns the pairs' capture times."""
    pairs = [pair for view, at in arrivals for pair in pairer.push(frame(view, at))]
    if finish:
        pairs += [pair for view in VIEWS for pair in pairer.finish(view)]
    return times(pairs)


def by_time(left: list[int], right: list[int]) -> list[tuple[View, int]]:
    """Frames of both streams in order of capture."""
    arrivals: list[tuple[View, int]] = [*(("left", t) for t in left), *(("right", t) for t in right)]
    return sorted(arrivals, key=lambda arrival: arrival[1])


arrival_lists = st.lists(st.tuples(st.sampled_from(VIEWS), st.integers(0, 200)), max_size=60)
stamp_lists = st.lists(st.integers(0, 400), unique=True, max_size=40).map(sorted)


@st.composite
def interleavings(draw):
    """Two ordered streams, and an interleaving of their frames."""
    left, right = draw(stamp_lists), draw(stamp_lists)
    order = draw(st.permutations(["left"] * len(left) + ["right"] * len(right)))
    queues = {"left": iter(left), "right": iter(right)}
    return left, right, [(view, next(queues[view])) for view in order]


@given(arrival_lists, st.integers(0, 50) | st.none(), st.booleans(), st.integers(2, 5))
def test_every_frame_is_paired_once_or_dropped_with_a_reason(arrivals, tolerance_ns, patient, capacity):
    pairer = Pairer(tolerance_ns, patient=patient, capacity=capacity)
    pairs = run(pairer, arrivals)
    assert 2 * len(pairs) + sum(pairer.drops.values()) == len(arrivals)
    for side in zip(*pairs, strict=True):
        # Strictly increasing: in order, and no frame twice.
        assert all(a < b for a, b in itertools.pairwise(side))


@given(arrival_lists, st.integers(0, 50), st.booleans())
def test_no_pair_is_out_of_tolerance(arrivals, tolerance_ns, patient):
    assert all(abs(right - left) <= tolerance_ns for left, right in run(Pairer(tolerance_ns, patient=patient), arrivals))


@given(interleavings())
def test_patient_pairing_is_independent_of_arrival_order(case):
    left, right, arrivals = case
    for tolerance_ns in (None, 30):
        expected = run(Pairer(tolerance_ns, patient=True, capacity=100), by_time(left, right))
        assert run(Pairer(tolerance_ns, patient=True, capacity=100), arrivals) == expected


@given(
    st.lists(st.integers(-200, 200), min_size=4, max_size=40),
    st.lists(st.integers(-200, 200), min_size=4, max_size=40),
    st.integers(0, 999),
)
def test_jittered_frames_are_paired_with_the_nearest(left_jitter, right_jitter, phase):
    left = [1000 + PERIOD * i + jitter for i, jitter in enumerate(left_jitter)]
    right = [1000 + PERIOD * i + phase + jitter for i, jitter in enumerate(right_jitter)]
    for a, b in run(Pairer(PERIOD // 2, patient=True), by_time(left, right)):
        # Mutually nearest among all frames except those of earlier pairs.
        assert abs(a - b) <= min(abs(a - other) for other in right if other >= b)
        assert abs(a - b) <= min(abs(other - b) for other in left if other >= a)


@given(st.integers(-480, 480), st.integers(5, 40))
def test_steady_cameras_lose_no_frame_after_the_start(phase, count):
    """At any phase each frame is paired, and the pair comes with its second frame."""
    left = [1000 + PERIOD * i for i in range(count)]
    right = [at + phase for at in left]
    pairer = Pairer()
    for index, (view, at) in enumerate(by_time(left, right)):
        pairs = pairer.push(frame(view, at))
        if index >= 4:
            assert len(pairs) == index % 2
    assert not pairer.drops


def test_of_a_camera_with_twice_the_rate_every_second_frame_is_paired():
    left = [PERIOD * i for i in range(20)]
    right = [PERIOD // 2 * i + 40 for i in range(40)]
    pairer = Pairer()
    pairs = run(pairer, by_time(left, right))
    assert pairs == [(at, at + 40) for at in left]
    assert sum(pairer.drops.values()) == 20


def test_the_learned_period_is_that_of_capture_not_of_arrival():
    """Cameras that alternately lose every other frame capture no pair; frame numbers show it, times do not."""
    pairer, pairs = Pairer(), []
    for number in range(40):
        view: View = "left" if number % 2 else "right"
        pairs += pairer.push(Frame(view, number, 1000 + PERIOD * number, 0, BLANK))
    assert not pairs


def test_each_drop_reason_occurs():
    pairer = Pairer(10, patient=True)
    assert run(pairer, [("left", 0), ("right", 50), ("left", 41), ("left", 48), ("left", 30), ("left", 70)]) == [(48, 50)]
    assert pairer.drops == {"out_of_tolerance": 1, "superseded": 1, "late": 1, "no_partner": 1}


def test_the_queue_is_bounded_and_drops_the_oldest_frame():
    pairer = Pairer(10, capacity=3)
    assert not run(pairer, [("left", 100 * i) for i in range(10)], finish=False)
    assert pairer.full("left")
    assert pairer.drops == {"no_partner": 7}
    assert times(pairer.push(frame("right", 700))) == [(700, 700)]


def test_frames_left_after_a_view_ended_are_dropped_unpaired():
    pairer = Pairer(10, patient=True)
    assert not run(pairer, [("left", 0), ("left", 100), ("right", 104)], finish=False)
    assert times(pairer.finish("left")) == [(100, 104)]
    assert pairer.exhausted
    assert not pairer.push(frame("right", 204))
    assert pairer.drops == {"out_of_tolerance": 1, "no_partner": 1}


def test_single_frames_of_the_same_instant_are_a_pair():
    assert run(Pairer(), [("left", 5), ("right", 5)]) == [(5, 5)]


@pytest.mark.skipif(not VECTORS.exists(), reason="the vectors of ROS 2's ApproximateTime are not beside this checkout")
@pytest.mark.parametrize("patient", [False, True])
def test_skew_is_never_larger_than_ros_approximate_time(patient):
    for case in json.loads(VECTORS.read_text()):
        sides: dict[str, View] = {"a": "left", "b": "right"}
        arrivals: list[tuple[View, int]] = [(sides[arrival["stream"]], arrival["time"]) for arrival in case["arrivals"]]
        ours = run(Pairer(tolerance_ns=1000, patient=patient), arrivals)
        skew, reference = (np.mean([abs(a - b) for a, b in pairs]) for pairs in (ours, case["pairs_a_b"]))
        assert skew <= reference, case["name"]
