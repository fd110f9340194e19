"""One pass over two clips before the run: when did the right one begin, and how fast does it play, against the left one?"""

import logging
from collections.abc import Callable, Iterator
from itertools import zip_longest

import msgspec
import numpy as np
from tqdm import tqdm

from capture.clip_timing import ClipTiming
from capture.frames import Frame, FramePair
from capture.sources.base import CapturedImage, DeviceMode, Source
from capture.sources.registry import open_source, parse_source
from capture.views import VIEWS, PerView, View
from hand.camera import DEFAULT_FOV_DEG, PinholeCamera
from hand.errors import UserError
from hand.findings import Finding, Findings
from runtime.estimators.estimator import FollowSettings
from runtime.estimators.registry import EstimatorOptions, load_estimator
from runtime.settings import Settings
from runtime.synchronization.estimate import MIN_CORRELATION, Lag, find_lag, refine_lag
from runtime.synchronization.motion import HandMotion
from runtime.synchronization.rate import MAX_FACTOR, find_rate, in_real_time
from runtime.types import ViewHand

MAX_S = 60.0
"""Only so much of each clip is read."""
MIN_S = 2.0
"""A hand must be seen in each clip for so long."""

log = logging.getLogger(__name__)


def find_timing(settings: Settings, findings: Findings) -> Settings:
    """The same settings with the offset and the rate that `auto` stands for, which are found and said.

    Raises UserError where a source is no clip that can be read, and where what is asked for cannot be found.
    """
    for view, source in settings.sources.items():
        if parse_source(source, secured=settings.keys is not None).timed(ClipTiming()) is None:
            raise UserError(
                f"{_asked(settings.offset, settings.rate)}: the {view} source {source!r} is no clip on disk, which could be read "
                "before the run; give two clips"
            )
    offset_s, rate, finding = timing_of(_read_motions(settings), settings.offset, settings.rate)
    findings.add(finding)
    return msgspec.structs.replace(settings, offset=offset_s, rate=rate)


def timing_of(motions: PerView[HandMotion], offset: float | str, rate: float | str) -> tuple[float, float, Finding]:
    """Offset in s and rate of the right clip, those given or, where they are `auto`, found in the hands' motion in both clips.

    Raises UserError where they cannot be found.
    """
    asked = _asked(offset, rate)
    for view, motion in motions.items():
        if motion.duration_s < MIN_S:
            raise UserError(
                f"{asked}: a hand is seen in the {view} clip for {motion.duration_s:.1f} s of its first {MAX_S:g} s, and "
                f"{MIN_S:g} s are needed; give the numbers yourself"
            )
    uncertainty = ""
    if isinstance(rate, float):
        factor, lag = rate, find_lag(in_real_time(motions, rate))
        certain = lag is not None and lag.certain
    else:
        found = find_rate(motions)
        factor, lag, certain = (found.factor, found.lag, found.certain) if found else (1.0, None, False)
        uncertainty = f" (+- {100 * found.sigma / found.factor:.1f} %)" if found else ""
    if lag is None or not certain:
        raise UserError(
            f"{asked}: {_why_not(lag, rate)}; give the numbers yourself, or clips in which one hand moves in both views"
        )
    lag = refine_lag(in_real_time(motions, factor), lag)
    offset_s = offset if isinstance(offset, float) else lag.lag_s
    parts = [began(lag.lag_s, lag.sigma_s)] if offset == "auto" else []
    if rate == "auto":
        than = "" if parts else " than the left one" if factor != 1 else " as the left one"
        parts.append(f"plays {plays(factor)}{than}{uncertainty}")
    text = f"the right clip {' and '.join(parts)}, by the hand's motion in both (correlation {lag.correlation:.2f})"
    return offset_s, factor, Finding("clips_aligned", text, "info")


def _asked(offset: float | str, rate: float | str) -> str:
    return " and ".join(f"--{name} auto" for name, value in (("offset", offset), ("rate", rate)) if value == "auto")


def began(offset_s: float, sigma_s: float) -> str:
    """What the right clip did, with its uncertainty."""
    when = "after" if offset_s >= 0 else "before"
    return f"began {abs(offset_s):.3f} s (+- {sigma_s:.3f} s) {when} the left one"


def plays(factor: float) -> str:
    """How the right clip plays."""
    if factor == 1:
        return "as fast"
    return f"{factor:.4g} times slower" if factor > 1 else f"{1 / factor:.4g} times faster"


def _why_not(lag: Lag | None, rate: float | str) -> str:
    tried = f"at any rate up to {MAX_FACTOR:g} times and any shift" if rate == "auto" else "at any shift"
    if lag is None:
        return f"the hands of both clips share too little time {tried}"
    if lag.correlation < MIN_CORRELATION:
        alike = f"a correlation of only {lag.correlation:.2f}, and {MIN_CORRELATION:g} is needed"
        return f"the hands of both clips move alike {tried} with {alike}"
    return "the hands of both clips move alike at several shifts, or too little, so that none is certain"


def _read_motions(settings: Settings) -> PerView[HandMotion]:
    """The hand's motion in the first minute of each clip, by the run's own estimator. Raises UserError."""
    sources = PerView.of(lambda view: open_source(settings.sources[view], view, paced=False, mode=DeviceMode()))
    seen: dict[View, list[tuple[float, np.ndarray]]] = {view: [] for view in VIEWS}
    try:
        estimate: Callable[[FramePair], PerView[ViewHand | None]] | None = None
        for pair in tqdm(_pairs(sources), desc="motion of the hands", unit=" pairs", disable=None):
            estimate = estimate or _estimator(settings, pair)
            for view, hand in estimate(pair).items():
                if hand is not None and not pair[view].absent:
                    seen[view].append((pair[view].captured_ns / 1e9, hand.pixels))
    finally:
        for source in sources:
            source.close()
    return PerView.of(lambda view: HandMotion.of(seen[view]))


def _estimator(settings: Settings, first: FramePair) -> Callable[[FramePair], PerView[ViewHand | None]]:
    """The run's estimator, for frames of the size of the first ones. Raises UserError."""

    def camera(view: View) -> PinholeCamera:
        height, width = first[view].image.shape[:2]
        return PinholeCamera.from_fov(width, height, settings.fovs_deg[view] or DEFAULT_FOV_DEG)

    follow = FollowSettings(settings.hand_side, settings.rois)
    options = EstimatorOptions(engine=settings.engine, weights=settings.weights, follow=follow)
    cameras = PerView.of(camera)
    estimator = load_estimator(settings.estimator_name, options).make(cameras.map(lambda camera: camera.size_px))
    return lambda pair: estimator(pair, cameras)


def _pairs(sources: PerView[Source]) -> Iterator[FramePair]:
    """Both clips' frames side by side, whatever their times: an estimator takes pairs, and sees each view by itself."""
    last: dict[View, Frame] = {}
    for shots in zip_longest(*(_first_part(source) for source in sources)):
        for view, shot in zip(VIEWS, shots, strict=True):
            last[view] = (
                last[view].stand_in(last[view]) if shot is None else Frame(view, shot.seq, shot.captured_ns, 0, shot.image)
            )
        yield FramePair(last["left"], last["right"])


def _first_part(source: Source) -> Iterator[CapturedImage]:
    try:
        for shot in source.frames(0):
            if shot.captured_ns > MAX_S * 1e9:
                return
            yield shot
    except UserError as error:
        # The run itself says that a clip breaks off; what there is of it may do here.
        log.debug(f"the pass over the clips: {error}")
