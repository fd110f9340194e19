"""Settings that were given and have no effect with the others that were given."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runtime.settings import HAVE_ENGINES, Settings

_USUAL = Settings()


@dataclass(frozen=True, slots=True)
class _Unused:
    """When settings have no effect."""

    keys: tuple[str, ...]
    when: Callable[[Settings], bool]
    why: str
    """Completes "KEY has no effect"."""


_UNUSED = (
    _Unused(("fov_deg",), lambda s: bool(s.calibration), "with --calibration, which says how the cameras see"),
    _Unused(("calibration_fix",), lambda s: not s.calibration, "without --calibration"),
    _Unused(("calibrate",), lambda s: s.merge == "rotation", "with --merge rotation, which needs no calibration"),
    _Unused(("engine",), lambda s: s.estimator not in HAVE_ENGINES, "with an estimator whose models run in LiteRT"),
    _Unused(("merge_rule",), lambda s: s.merge == "geometry", "with --merge geometry, which does not merge by rotation"),
    _Unused(("record_format",), lambda s: s.record is None, "without --record"),
    _Unused(("adapt_labels",), lambda s: s.adapt != "on", "without --adapt"),
    _Unused(("profile",), lambda s: s.adapt == "off", "without --adapt"),
    _Unused(
        ("sequence_fps",),
        lambda s: not any(source and (Path(source).is_dir() or re.search(r"%\d*d|\*", source)) for source in (s.left, s.right)),
        "without a sequence of pictures",
    ),
    _Unused(
        ("camera_size", "camera_fps", "exposure"),
        lambda s: not any(source and (source.isdigit() or source.startswith("/dev/")) for source in (s.left, s.right)),
        "without a camera of this machine (0, /dev/video2)",
    ),
)


def unused_settings(settings: Settings) -> list[str]:
    """One sentence for each setting that is not the usual one and has no effect."""
    return [
        f"--{key.replace('_', '-').removesuffix('-deg')} has no effect {unused.why}"
        for unused in _UNUSED
        for key in unused.keys
        if getattr(settings, key) != getattr(_USUAL, key) and unused.when(settings)
    ]
