"""How much is measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """`scale` 1 is what the goals ask for; less is to see whether everything works."""

    scale: float = 1.0

    @property
    def rounds(self) -> int:
        return 7 if self.scale >= 1 else 3 if self.scale >= 0.5 else 1

    @property
    def seconds(self) -> float:
        """Of one round of requests."""
        return max(1.0, 5 * self.scale)

    @property
    def patience_s(self) -> float:
        """To wait for a quiet moment before a round."""
        return 20 * self.scale

    def of(self, whole: int) -> int:
        return max(1, int(whole * self.scale))

    def say(self, line: str) -> None:
        print(f"  {line}", flush=True)
