"""A private PostgreSQL cluster for tests: real, on a free port, gone at the end."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import missing

BIN = Path(os.environ.get("IARNET_TEST_POSTGRES", "/usr/lib/postgresql/15/bin"))
READY_WITHIN_S = 60


@contextmanager
def cluster() -> Iterator[str]:
    """The URL of its server, without a database name. Skips where PostgreSQL is missing, which CI must not do."""
    if not (BIN / "initdb").exists():
        missing(f"PostgreSQL in {BIN} (install postgresql-15 or set IARNET_TEST_POSTGRES)")
    folder = Path(tempfile.mkdtemp(prefix="iarnet-postgres-"))
    try:
        user = _owner_of(folder)
        data = str(folder / "data")
        initdb = [
            str(BIN / "initdb"),
            "-D",
            data,
            "-U",
            "iarnet",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
            "--locale=C.UTF-8",
        ]
        subprocess.run(initdb, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        port = _free_port()
        settings = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "fsync=off"]
        options = [word for setting in settings for word in ("-c", setting)]
        with (folder / "log").open("w") as log:
            server = subprocess.Popen([BIN / "postgres", "-D", data, *options], user=user, cwd=folder, stderr=log)
        try:
            _wait_until_ready(server, port, folder / "log")
            yield f"postgresql://iarnet@127.0.0.1:{port}"
        finally:
            server.send_signal(2)  # SIGINT: disconnect everybody and stop
            server.wait(READY_WITHIN_S)
    finally:
        shutil.rmtree(folder)


def execute(server: str, statement: str) -> None:
    """One statement outside of a transaction, in the server's own database."""
    _psql(server, statement)


def empty(server: str) -> None:
    """Its database `postgres`, whatever a test has left there. To create one anew takes ten times as long."""
    statements = (
        "SET client_min_messages = warning",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        "DROP SCHEMA public CASCADE",
        "CREATE SCHEMA public",
    )
    _psql(server, *statements)


def _psql(server: str, *statements: str) -> None:
    commands = [word for statement in statements for word in ("-c", statement)]
    psql = [str(BIN / "psql"), "-qX", "-v", "ON_ERROR_STOP=1", f"{server}/postgres", *commands]
    subprocess.run(psql, check=True, stdout=subprocess.DEVNULL)


def _owner_of(folder: Path) -> str | None:
    """PostgreSQL refuses to run as root: then `postgres` gets the folder."""
    if os.getuid() != 0:
        return None
    shutil.chown(folder, "postgres")
    return pwd.getpwnam("postgres").pw_name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while subprocess.run([BIN / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode:
        if server.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}")
        time.sleep(0.05)
