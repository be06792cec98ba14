"""The ecosystems, in the order in which they are asked: a page in the folder of a program belongs to the program.

Languages whose projects often hold a `package.json` for their pages come before Node.
"""

from iarnet.analysis.base import Ecosystem
from iarnet.analysis.ecosystems.c import C
from iarnet.analysis.ecosystems.deno import Deno
from iarnet.analysis.ecosystems.dotnet import Dotnet
from iarnet.analysis.ecosystems.elixir import Elixir
from iarnet.analysis.ecosystems.go import Go
from iarnet.analysis.ecosystems.java import Java
from iarnet.analysis.ecosystems.node import Node
from iarnet.analysis.ecosystems.php import Php
from iarnet.analysis.ecosystems.python import Python
from iarnet.analysis.ecosystems.ruby import Ruby
from iarnet.analysis.ecosystems.rust import Rust
from iarnet.analysis.ecosystems.shell import Shell
from iarnet.analysis.ecosystems.static import Static
from iarnet.analysis.ecosystems.toolchains import Toolchains

ECOSYSTEMS: tuple[Ecosystem, ...] = (
    Python(),
    Php(),
    Ruby(),
    Elixir(),
    Deno(),
    Node(),
    Go(),
    Rust(),
    Java(),
    Dotnet(),
    Toolchains(),
    C(),
    Static(),
    Shell(),
)
