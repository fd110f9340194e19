"""The two views, by name, and values that exist once for each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

View = Literal["left", "right"]
VIEWS: tuple[View, View] = ("left", "right")


def other(view: View) -> View:
    return "right" if view == "left" else "left"


T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class PerView(Generic[T]):
    """One value for each view."""

    left: T
    right: T

    @classmethod
    def of(cls, make: Callable[[View], T]) -> "PerView[T]":
        """Build both values by calling `make` with each view's name."""
        return cls(make("left"), make("right"))

    def map(self, function: Callable[[T], U]) -> "PerView[U]":
        return PerView(function(self.left), function(self.right))

    def __getitem__(self, view: View) -> T:
        return self.left if view == "left" else self.right

    def __iter__(self) -> Iterator[T]:
        return iter((self.left, self.right))

    def items(self) -> Iterator[tuple[View, T]]:
        return ((view, self[view]) for view in VIEWS)
