"""System programs: what is missing comes from apt where that is possible, and is named where it isn't."""

import os
import shutil
from collections.abc import Mapping

from places import Stopwatch, run_logged, say

# Another apt may be at work; it is waited for, not fought.
APT = ("apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3")
APT_ENV = {"DEBIAN_FRONTEND": "noninteractive"}
APT_SECONDS = 900


FOR_TESTS = {"ip": "iproute2", "sshd": "openssh-server", "initdb": "postgresql-15"}
# Where Debian keeps programs that it does not put on the path.
HIDDEN = "/usr/sbin:/usr/lib/postgresql/15/bin"


def require(packages: Mapping[str, str], hidden: str = "") -> None:
    """Make programs available, each from its Debian package, or exit and say exactly what to install.

    `hidden`: further folders to look in, as in PATH.
    """
    path = f"{os.environ.get('PATH', os.defpath)}:{hidden}"
    missing = [program for program in packages if not shutil.which(program, path=path)]
    if not missing:
        return
    names = sorted({packages[program] for program in missing})
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        advice = f"on Debian, as root: apt-get install {' '.join(names)}"
        raise SystemExit(f"missing: {', '.join(missing)}. Install them ({advice}), then try again.")
    watch = Stopwatch()
    run_logged("apt", [*APT, "update"], timeout=APT_SECONDS, env=APT_ENV)
    install = [*APT, "install", "--yes", "--no-install-recommends", *names]
    run_logged("apt", install, timeout=APT_SECONDS, env=APT_ENV)
    say(f"apt     {' '.join(names)} ({watch})")
