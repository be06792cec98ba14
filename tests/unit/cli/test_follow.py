"""A node that goes away in the middle, and one that is no node: what the follower makes of it."""

import json
import os
import pty
import socket
import subprocess
import sys
import threading

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse
from typer.testing import CliRunner

from iarnet.cli.main import app as program

RUN = {"workflow_id": "change.shop", "run_id": "r", "url": "", "follow": "/api/v1/runs/change.shop/r"}
WEB = {"component": "web", "phase": "starting", "detail": "", "provider_id": "memory", "instance": ""}
PROGRESS = {"app": "shop", "status": "running", "step": "deploying", "components": [WEB], "failure": None}


def message(event, data):
    return f": ping\n\nevent: {event}\nid: 1\ndata: {json.dumps(data)}\n\n"


@pytest.fixture
def flaky():
    """Breaks the first two streams; tells the end in the third."""
    api, seen = FastAPI(), []
    done = {"progress": PROGRESS | {"status": "succeeded"}, "result": {"addresses": {"web": "http://here:1"}}}

    @api.post("/api/v1/apps/shop/stop")
    def stop():
        return RUN

    @api.get("/api/v1/runs/change.shop/r/events")
    async def events():
        async def told():
            seen.append(1)
            yield message("progress", PROGRESS)
            if len(seen) < 3:
                raise ConnectionResetError
            yield message("done", done)

        return StreamingResponse(told(), media_type="text/event-stream")

    @api.get("/api/v1/apps/page")
    def page():
        return PlainTextResponse("<html>welcome</html>")

    @api.get("/api/v1/apps/moved")
    def moved():
        return RedirectResponse("http://example.org")

    @api.get("/api/v1/apps/broken")
    def broken():
        return PlainTextResponse("bad gateway", 502)

    yield from serving(api)


def serving(api):
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(api, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def call(flaky, tmp_path):
    def at(*args):
        environ = {"HOME": str(tmp_path), "IARNET_SERVER": flaky, "IARNET_TOKEN": "t", "TERM": "dumb"}
        return CliRunner().invoke(program, [*args], env=environ)

    return at


def test_a_lost_connection_is_made_again(call):
    result = call("stop", "shop")
    assert result.exit_code == 0
    assert result.stderr.count("connection lost") == 2
    assert result.stderr.count("shop/web: starting") == 1
    assert "http://here:1" in result.stdout


@pytest.mark.parametrize("app", ["page", "moved", "broken"])
def test_what_is_no_node_is_told_so(call, app):
    result = call("status", app)
    assert result.exit_code == 3
    assert "not" in result.stderr
    assert "Traceback" not in result.output


def test_on_a_terminal_the_rows_are_drawn_again(flaky, tmp_path):
    ours, theirs = pty.openpty()
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "TERM": "xterm-256color"}
    environ |= {"IARNET_SERVER": flaky, "IARNET_TOKEN": "t"}
    code = "from iarnet.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "stop", "shop"], env=environ, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    text = read_all(ours)
    assert process.wait(30) == 0
    assert "\x1b[" in text
    assert "component" in text
    assert "http://here:1" in text


def test_output_that_nobody_reads_is_no_error(tmp_path):
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    code = "from iarnet.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "config", "--json"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.wait(30)


def read_all(descriptor):
    parts = []
    try:
        while part := os.read(descriptor, 65536):
            parts.append(part)
    except OSError:
        pass  # how Linux says that the other end of a terminal is closed
    return b"".join(parts).decode()
