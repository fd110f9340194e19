"""Are both views in step, and if not, by how much? A check of the hands' motion while a run goes on."""

import math
from collections import deque
from collections.abc import Sequence
from statistics import median

import numpy as np

from capture.frames import FramePair
from capture.views import VIEWS, PerView, View
from hand.findings import Finding, Findings
from hand.joints import TIPS
from runtime.synchronization.epipolar import PALM
from runtime.synchronization.estimate import Lag, contradict_pairing, find_lag, grid
from runtime.synchronization.motion import HandMotion
from runtime.synchronization.rate import Rate, find_rate
from runtime.types import DualHand

KIND = "views_out_of_step"
WINDOW_S, KEPT_S = 15.0, 60.0
"""Time that a check looks at, and that the last one does."""
MIN_S = 4.0
"""Least time in which both views must have seen the hand."""
EVERY_S, SETTLED_EVERY_S = 1.0, 10.0
"""Time between two checks, and once the views have proved in step."""
MAX_LAG_S = 5.0
SAME_S = 0.05
"""Two checks in a row must agree to this."""
SETTLED = 3
"""Checks in a row that find the views in step, after which they are rare."""
MOVES = 0.7
"""Square root of the speed, in hand lengths a second, that a hand exceeds for a tenth of the time if it is to tell anything."""


_JOINTS = [*PALM, *TIPS]
"""Enough to tell, in half of the time."""


class StepCheck:
    """Follows the hand in both views and adds, or withdraws, the finding that they are out of step. An `Output` of the loop."""

    def __init__(self, findings: Findings, *, clips: bool, offset_s: float | None = None) -> None:
        """`clips`: both views are clips on disk, the right one shifted by `offset_s` if that is given; else cameras or feeds."""
        self._findings = findings
        self._clips = clips
        self._offset_s = offset_s
        self._seen: dict[View, list[tuple[float, np.ndarray]]] = {view: [] for view in VIEWS}
        self._periods_s: deque[float] = deque(maxlen=31)
        self._last_s = -math.inf
        self._due_s = -math.inf
        self._lag: Lag | None = None
        """Of the last check, where it is certain."""
        self._in_step = 0

    @property
    def lag(self) -> Lag | None:
        """By how much the right view's times should be later, as last found; None where that is not certain."""
        return self._lag

    def take(self, pair: FramePair, hands: Sequence[DualHand]) -> None:
        """Note where both views see the hand of a pair, and check when that is due."""
        now_s = pair.left.captured_ns / 1e9
        if now_s < self._last_s - 1:
            # A clock was set back; what was seen before is on another one.
            self._forget()
        elif math.isfinite(self._last_s):
            self._periods_s.append(now_s - self._last_s)
        self._last_s = now_s
        for view in VIEWS:
            hand = hands[0].views[view] if hands else None
            if hand is not None and not pair[view].absent:
                self._seen[view].append((pair[view].captured_ns / 1e9, hand.pixels[_JOINTS]))
        if self._due_s == -math.inf:
            self._due_s = now_s + MIN_S
        if now_s >= self._due_s:
            self._due_s = now_s + (SETTLED_EVERY_S if self._in_step >= SETTLED else EVERY_S)
            self._check(now_s)

    def finish(self) -> None:
        """Look at all that was seen once more: clips that play at different rates show only then."""
        motions = self._motions(KEPT_S)
        if not self._clips or any(motion.duration_s < MIN_S for motion in motions):
            return
        lag = find_lag(motions, MAX_LAG_S)
        if lag is not None and lag.certain:
            self._judge(lag)
        elif not self._findings.failed and max(_liveliness(motion) for motion in motions) > MOVES:
            # Else a cause is known already, such as a mirrored or a frozen view.
            self._lag = None
            rate = find_rate(motions)
            if rate is not None and rate.certain:
                self._findings.add(Finding(KIND, self._other_rate(rate)))
            elif contradict_pairing(motions):
                self._findings.add(Finding(KIND, self._not_alike(lag, motions)))

    def sentence(self) -> str | None:
        """What is known of the times of both views, for who reads their skew; None where there is nothing to say."""
        found = f"by the hand's motion the right view is {_late(self._lag)}" if self._lag is not None else None
        if not self._clips:
            return found
        if self._offset_s is not None:
            when = "after" if self._offset_s >= 0 else "before"
            shifted = f"the right clip is taken to have begun {abs(self._offset_s):.3f} s {when} the left one (--offset)"
            return f"{shifted}; {found}" if found else shifted
        assumed = "between times from each clip's own beginning: that both began together is assumed"
        return f"{assumed}; {found}" if found else f"{assumed} (--offset auto finds out)"

    def _forget(self) -> None:
        for seen in self._seen.values():
            seen.clear()
        self._due_s, self._lag, self._in_step = -math.inf, None, 0

    def _motions(self, length_s: float) -> PerView[HandMotion]:
        since_s = self._last_s - length_s
        return PerView.of(lambda view: HandMotion.of([each for each in self._seen[view] if each[0] >= since_s]))

    def _check(self, now_s: float) -> None:
        for view in VIEWS:
            self._seen[view] = [each for each in self._seen[view] if each[0] >= now_s - KEPT_S]
        motions = self._motions(WINDOW_S)
        lag = find_lag(motions, MAX_LAG_S) if all(motion.duration_s >= MIN_S for motion in motions) else None
        before, self._lag = self._lag, lag if lag is not None and lag.certain else None
        if self._lag is not None and before is not None and abs(self._lag.lag_s - before.lag_s) < SAME_S:
            self._judge(self._lag)

    def _judge(self, lag: Lag) -> None:
        """Say, or no longer say, that the views are out of step."""
        self._lag = lag
        period_s = median(self._periods_s)
        if abs(lag.lag_s) - 2 * lag.sigma_s > period_s:
            self._in_step = 0
            self._findings.add(Finding(KIND, self._out_of_step(lag)))
        elif abs(lag.lag_s) < period_s:
            self._in_step += 1
            self._findings.withdraw(KIND)

    def _out_of_step(self, lag: Lag) -> str:
        figures = f"{abs(lag.lag_s):.2f} s (+- {lag.sigma_s:.2f} s)"
        if not self._clips:
            early = "early" if lag.lag_s > 0 else "late"
            return (
                f"the right view's frames are stamped {figures} too {early} against the left view's, by the hand's motion: "
                "their hands are of different times; correct the capture times of the one that is wrong"
            )
        total_s = (self._offset_s or 0.0) + lag.lag_s
        when = "after" if total_s >= 0 else "before"
        return (
            f"the right clip seems to have begun {abs(total_s):.2f} s (+- {lag.sigma_s:.2f} s) {when} the left one, by the "
            f"hand's motion, so that pairs are of different times: give --offset auto or --offset {total_s:.2f}"
        )

    def _other_rate(self, rate: Rate) -> str:
        how = f"{rate.factor:.3g} times slower" if rate.factor > 1 else f"{1 / rate.factor:.3g} times faster"
        return f"the right clip seems to play {how} than the left one, by the hand's motion: give --offset auto --rate auto"

    def _not_alike(self, lag: Lag | None, motions: PerView[HandMotion]) -> str:
        best = f" (correlation {lag.correlation:.2f} at best)" if lag is not None else ""
        left, right = (_liveliness(motion) ** 2 for motion in motions)
        ratio = max(left, right) / max(min(left, right), 1e-9)
        slow, fast = ("right", "left") if right < left else ("left", "right")
        slower = f", and it is {ratio:.1f} times slower in the {slow} clip than in the {fast} one" if ratio > 1.5 else ""
        return (
            f"there is no certain shift up to {MAX_LAG_S:g} s at which the hand moves alike in both clips{best}{slower}: "
            "if they show one scene, give --offset auto --rate auto"
        )


def _late(lag: Lag) -> str:
    how = "early" if lag.lag_s > 0 else "late"
    return f"{1000 * abs(lag.lag_s):.0f} ms (+- {1000 * lag.sigma_s:.0f} ms) too {how}"


def _liveliness(motion: HandMotion) -> float:
    """The square root of the speed that the hand exceeds for a tenth of the time."""
    speed = motion.speed(grid(motion))
    return float(np.nanquantile(speed, 0.9)) if np.isfinite(speed).any() else 0.0
