"""Tiny rendered rigs for tests: few and small frames, rendered once."""

from functools import cache

from hand.synth.backgrounds import Backgrounds
from runtime.types import Side
from tools.evaluate.streams.rendered import RenderSettings, draw, plan
from tools.evaluate.synthetic_stream import SyntheticStream

TINY = RenderSettings(seed=3, seconds=1.5, fps=4.0, width=240)


@cache
def backgrounds() -> Backgrounds:
    """Those of rendered rigs, which take a second to make."""
    return Backgrounds.load(None, "held_out")


@cache
def tiny_stream(number: int) -> tuple[SyntheticStream, Side]:
    """The pictures of a rig, and which hand they show."""
    return draw(TINY, number, backgrounds())


def rig_with_side(side: Side) -> int:
    """The number of the first rig before which a hand of that side moves."""
    return next(number for number in range(20) if plan(TINY, number)[0].side == side)
