"""The base images that get a stand-in, and what of this machine goes into them."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
MOZILLA = Path("/usr/share/ca-certificates/mozilla")

Files = list[tuple[Path | str, str]]  # a path of this machine or a text, and its place in the build context


@dataclass(frozen=True)
class Image:
    """A folder under `images/`, and the names it stands in for; the first is the one that is pulled instead.

    `material` returns what the Dockerfile copies from this machine, and a word that changes when that changes.
    """

    folder: str
    tags: tuple[str, ...]
    base: str | None = "debian"
    core: bool = True
    material: Callable[[], tuple[str, Files]] = lambda: ("", [])


def certificates() -> tuple[str, Files]:
    """What this machine trusts beyond Debian's own list, so that pip and npm in a build reach the same registries."""
    usual = {file.read_text().strip() for file in MOZILLA.glob("*.crt")}
    blocks = re.findall("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", _text(CA_BUNDLE), re.DOTALL)
    extra = sorted(set(blocks) - usual)
    files: Files = [("Certificates that the building machine trusts.\n", "certificates/README")]
    files += [(f"{block}\n", f"certificates/host-{number:02}.crt") for number, block in enumerate(extra)]
    return "".join(extra), files


def busybox() -> tuple[str, Files]:
    """The static binary."""
    path = Path(shutil.which("busybox") or "/bin/busybox")
    return str(path.stat().st_size if path.exists() else 0), [(path, "busybox")]


def node() -> tuple[str, Files]:
    """This machine's Node and npm; without them the Dockerfile takes Debian's."""
    files: Files = [("Copied from the building machine.\n", "tree/README")]
    if not shutil.which("node"):
        return "", files
    executable = Path(_output("node", "-p", "process.execPath"))
    modules = executable.parent.parent / "lib" / "node_modules"
    present = [name for name in ("npm", "corepack") if (modules / name).is_dir()]
    files += [(executable, "tree/bin/node"), *((modules / name, f"tree/lib/node_modules/{name}") for name in present)]
    return _output("node", "--version"), files


def golang() -> tuple[str, Files]:
    """This machine's Go tree; without it the Dockerfile takes Debian's, which is years older."""
    files: Files = [("Copied from the building machine.\n", "tree/README")]
    if not shutil.which("go"):
        return "", files
    return _output("go", "env", "GOVERSION"), [*files, (Path(_output("go", "env", "GOROOT")), "tree/go")]


def rust() -> tuple[str, Files]:
    """This machine's toolchain; without it the Dockerfile takes Debian's, which is years older."""
    files: Files = [("Copied from the building machine.\n", "tree/README")]
    if not shutil.which("rustc"):
        return "", files
    root = Path(_output("rustc", "--print", "sysroot"))
    programs: Files = [(root / "bin" / name, f"tree/bin/{name}") for name in ("cargo", "rustc")]
    return _output("rustc", "--version"), [*files, *programs, (root / "lib", "tree/lib")]


def _tags(name: str, versions: str) -> tuple[str, ...]:
    return tuple(f"{name}:{version}" for version in versions.split())


# The aliases are what Dockerfiles ask for most. The software inside is one version, Debian's or this machine's: good
# for running an application, not for telling 3.12 from 3.13. A base comes before what needs it, large before small.
IMAGES = (
    Image(
        "debian",
        _tags("debian", "bookworm-slim bookworm 12-slim 12 stable-slim latest"),
        base=None,
        material=certificates,
    ),
    Image("busybox", _tags("busybox", "stable 1 latest"), base=None, material=busybox),
    Image("postgres", _tags("postgres", "15 16 17 15-alpine 16-alpine 17-alpine 15-bookworm 16-bookworm latest")),
    Image(
        "python",
        _tags("python", "3.11-slim 3.10-slim 3.12-slim 3.13-slim 3-slim slim 3.11-slim-bookworm 3.12-slim-bookworm")
        + _tags("python", "3.13-slim-bookworm 3.10 3.11 3.12 3.13 3 3.11-alpine 3.12-alpine 3.13-alpine"),
    ),
    Image("redis", _tags("redis", "7 6 7-alpine 6-alpine alpine 7-bookworm 7.0 7.2 latest")),
    Image(
        "golang",
        _tags("golang", "1 1.26 1.25 1.24 1.23 1.22 1.21 1-bookworm 1.26-bookworm 1.25-bookworm latest 1-alpine")
        + _tags("golang", "1.26-alpine 1.25-alpine 1.24-alpine 1.23-alpine 1.22-alpine 1.21-alpine alpine"),
        material=golang,
    ),
    Image(
        "node",
        _tags("node", "20-slim 18-slim 22-slim 24-slim lts-slim slim 20-bookworm-slim 22-bookworm-slim")
        + _tags("node", "18 20 22 24 lts 18-alpine 20-alpine 22-alpine 24-alpine lts-alpine alpine"),
        material=node,
    ),
    Image("nginx", _tags("nginx", "stable alpine stable-alpine 1-alpine 1.25-alpine 1.27-alpine 1 mainline latest")),
    Image("temurin-jdk", _tags("eclipse-temurin", "17-jdk 17 17-jdk-jammy 17-jdk-alpine"), core=False),
    Image("temurin-jre", _tags("eclipse-temurin", "17-jre 17-jre-jammy 17-jre-alpine"), core=False),
    Image(
        "maven",
        _tags("maven", "3-eclipse-temurin-17 3.9-eclipse-temurin-17 3.9-eclipse-temurin-17-alpine"),
        base="temurin-jdk",
        core=False,
    ),
    Image("mariadb", _tags("mariadb", "11 10.11 10 lts latest") + _tags("mysql", "8 8.0 8.4 5.7 latest"), core=False),
    Image("rabbitmq", _tags("rabbitmq", "3-management 3 3-management-alpine 3-alpine management latest"), core=False),
    Image("nats", _tags("nats", "2 2-alpine alpine latest"), core=False),
)

# More languages, for those who measure with projects of all kinds (`bench.building`); nothing else needs them.
TOOLCHAINS = (
    Image("rust", _tags("rust", "1-slim-bookworm 1 slim 1-bookworm"), material=rust),
    Image("php", (*_tags("php", "8.2-apache 8.3-apache 8.4-apache 8.2-cli 8.3-cli 8.4-cli"), "composer:2")),
    Image("wildfly", ("quay.io/wildfly/wildfly:30.0.1.Final-jdk17",), base="maven"),
)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
