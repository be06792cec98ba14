"""The ecosystems, in the order in which they are asked: a page in the folder of a program belongs to the program."""

from iarnet.analysis.base import Ecosystem
from iarnet.analysis.ecosystems.go import Go
from iarnet.analysis.ecosystems.java import Java
from iarnet.analysis.ecosystems.node import Node
from iarnet.analysis.ecosystems.python import Python
from iarnet.analysis.ecosystems.static import Static

ECOSYSTEMS: tuple[Ecosystem, ...] = (Python(), Node(), Go(), Java(), Static())
