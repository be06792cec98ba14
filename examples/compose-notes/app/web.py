"""Notes on a page, and as JSON under /notes: the standard library's server before PostgreSQL."""

import html
import json
import os
import signal
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import psycopg

DATABASE_URL = os.environ["DATABASE_URL"]
TITLE = os.environ.get("NOTES_TITLE", "Notes")
PORT = 8080
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>
body {{ margin: 0 auto; max-width: 34rem; padding: 2rem 1rem; background: #fdfbf3; font: 1rem/1.5 system-ui; }}
input {{ width: 100%; box-sizing: border-box; padding: .6rem; font: inherit; border: 1px solid #d9d2b8; }}
li {{ padding: .5rem 0; border-bottom: 1px solid #eee6cb; }}
ul {{ list-style: none; padding: 0; }}
</style>
</head>
<body>
<h1>{title}</h1>
<form method="post" action="/notes">
<input name="text" placeholder="Write a note, press Enter" required autofocus>
</form>
<ul>{items}</ul>
</body>
</html>
"""


def notes() -> list[dict[str, object]]:
    """Newest first, at most a hundred."""
    rows = _query("SELECT id, text FROM notes ORDER BY id DESC LIMIT 100")
    return [{"id": number, "text": text} for number, text in rows]


def add(text: str) -> dict[str, object]:
    (number,) = _query("INSERT INTO notes (text) VALUES (%s) RETURNING id", text)[0]
    return {"id": number, "text": text}


def _query(sql: str, *values: object) -> list[tuple]:
    with psycopg.connect(DATABASE_URL, connect_timeout=3) as connection:
        return connection.execute(sql, values).fetchall()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer({"/": self._page, "/notes": self._list, "/health": self._health})

    def do_POST(self) -> None:
        self._answer({"/notes": self._add})

    def _answer(self, routes: dict) -> None:
        route = routes.get(self.path.partition("?")[0], self._unknown)
        try:
            route()
        except psycopg.Error as error:
            self._json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": str(error).strip()})

    def _page(self) -> None:
        items = "".join(f"<li>{html.escape(str(note['text']))}</li>" for note in notes())
        page = PAGE.format(title=html.escape(TITLE), items=items)
        self._send(HTTPStatus.OK, page.encode(), "text/html; charset=utf-8")

    def _list(self) -> None:
        self._json(HTTPStatus.OK, notes())

    def _health(self) -> None:
        _query("SELECT 1 FROM notes LIMIT 1")
        self._json(HTTPStatus.OK, {"ok": True})

    def _add(self) -> None:
        """From the form, which then shows the page again, or as JSON."""
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        from_form = self.headers.get_content_type() == "application/x-www-form-urlencoded"
        text = _form_text(content) if from_form else _json_text(content)
        if not text:
            return self._json(HTTPStatus.BAD_REQUEST, {"error": "a note needs a text"})
        note = add(text)
        if from_form:
            return self._send(HTTPStatus.SEE_OTHER, b"", "text/plain", location="/")
        return self._json(HTTPStatus.CREATED, note)

    def _unknown(self) -> None:
        self._json(HTTPStatus.NOT_FOUND, {"error": "not found"})

    def _json(self, status: HTTPStatus, value: object) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: HTTPStatus, content: bytes, kind: str, location: str = "") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        if location:
            self.send_header("location", location)
        self.end_headers()
        self.wfile.write(content)


def _form_text(content: bytes) -> str:
    return parse_qs(content.decode(errors="replace")).get("text", [""])[0].strip()


def _json_text(content: bytes) -> str:
    try:
        value = json.loads(content)
    except ValueError:
        return ""
    text = value.get("text") if isinstance(value, dict) else None
    return text.strip() if isinstance(text, str) else ""


def stop(*_: object) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    print(f"{TITLE} on port {PORT}")
    ThreadingHTTPServer(("0.0.0.0", PORT), Handler).serve_forever()
