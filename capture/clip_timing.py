"""When the frames of a recorded clip were captured, on the clock that both clips of a pair share."""

from dataclasses import dataclass

from capture.views import PerView


@dataclass(frozen=True, slots=True)
class ClipTiming:
    """How a clip's own times become times on the shared clock, which begins where both clips have frames."""

    slower: float = 1.0
    """How many times slower than it happened the clip plays: its times are divided by it."""
    later_s: float = 0.0
    """Time of its first frame; negative where the other clip began later: the frames before that have no partner."""

    def shared_ns(self, clip_ns: int) -> int:
        """Time on the shared clock of a frame `clip_ns` after the clip's first one."""
        return round(clip_ns / self.slower + self.later_s * 1e9)

    @classmethod
    def of(cls, offset_s: float, rate: float) -> "PerView[ClipTiming]":
        """Of two clips of which the right one began `offset_s` after the left one and plays `rate` times slower.

        The shared clock is that of the clip that plays faster: slow motion is as common as its opposite is rare.
        """
        start_s = max(0.0, offset_s)
        return PerView(cls(max(1.0, 1 / rate), -start_s), cls(max(1.0, rate), offset_s - start_s))
