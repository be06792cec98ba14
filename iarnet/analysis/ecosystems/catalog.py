"""The ecosystems, in the order in which they are asked."""

from iarnet.analysis.base import Ecosystem
from iarnet.analysis.ecosystems.python import Python

ECOSYSTEMS: tuple[Ecosystem, ...] = (Python(),)
