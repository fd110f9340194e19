"""The rule between exact engines and eight bits depends on ratios of times and on accuracy."""

import pytest

from runtime.engines.names import EngineKind
from runtime.engines.selection_rule import FAST_ENOUGH_MS, MIN_SPEEDUP, choose_engine, required_speedup

OFF_MM = 1.16
"""Of int8, as the one that ships is."""


@pytest.mark.parametrize("factor", [0.01, 0.5, 1.0, 3.0, 100.0])
def test_a_common_factor_does_not_change_the_choice_between_exact_engines(factor):
    times: dict[EngineKind, float] = {"onnx": 3.8, "torch": 9.1, "tensorrt": 4.0}
    assert choose_engine({name: ms * factor for name, ms in times.items()}, 0.0).engine == "onnx"


def test_int8_is_not_taken_by_the_times_of_a_busy_second():
    # The same engines, idle and while two other programs ran: the exact one is as good in both.
    assert choose_engine({"onnx": 3.8, "onnx-int8": 3.6, "torch": 9.0}, OFF_MM).engine == "onnx"
    assert choose_engine({"onnx": 16.0, "onnx-int8": 12.5, "torch": 30.6}, OFF_MM).engine == "onnx"


@pytest.mark.parametrize("off_mm", [0.0, 0.3, 1.0, OFF_MM, 1.5])
@pytest.mark.parametrize("slow", [1.01, 10.0, 100.0])
def test_int8_is_taken_from_the_required_speedup_on_where_exact_engines_are_too_slow(off_mm, slow):
    exact_ms, required = FAST_ENOUGH_MS * slow, required_speedup(off_mm)
    for speedup, taken in ((0.5, False), (1.0, False), (required * 0.999, False), (required * 1.001, True), (50.0, True)):
        choice = choose_engine({"onnx": exact_ms, "torch": 2 * exact_ms, "onnx-int8": exact_ms / speedup}, off_mm)
        assert choice.engine == ("onnx-int8" if taken else "onnx")
        assert choice.int8_speedup == pytest.approx(speedup) and choice.required == required


def test_int8_is_never_taken_where_an_exact_engine_is_fast_enough():
    assert choose_engine({"onnx": FAST_ENOUGH_MS, "onnx-int8": 0.01}, 0.0).engine == "onnx"


def test_a_less_accurate_engine_must_be_faster():
    asked = [required_speedup(mm) for mm in (0.0, 0.5, 1.0, 1.5, 3.0)]
    assert asked == sorted(asked) and asked[0] == MIN_SPEEDUP < asked[-1]


def test_the_only_engine_is_taken():
    for name in ("onnx-int8", "torch"):
        choice = choose_engine({name: 500.0}, OFF_MM)
        assert choice.engine == name and choice.int8_speedup is None
