"""What a reading has to say about itself, gathered on the way."""

from dataclasses import dataclass, field

from iarnet.analysis.base import Clue
from iarnet.models.analysis import Warning


@dataclass
class Notes:
    clues: list[Clue] = field(default_factory=list)
    warnings: list[Warning] = field(default_factory=list)

    def clue(self, name: str, value: object, file: str, line: int | None = None, confidence: float = 1.0) -> None:
        self.clues.append(Clue(name, str(value), file, line, confidence))

    def warn(self, code: str, message: str, file: str | None = None, line: int | None = None) -> None:
        self.warnings.append(Warning(code=code, message=message, file=file, line=line))
