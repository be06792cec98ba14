"""The documentation in a browser, from files of our own: it works without the internet, and no script from
elsewhere sees the token.

A visit with `?token=` fills the token in for trying things out and takes it out of the address bar.
"""

from importlib.resources import files

import fastapi_offline
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>IARNet API</title>
<link rel="stylesheet" href="/docs/files/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="/docs/files/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
SCRIPT = """const token = new URLSearchParams(location.search).get("token");
history.replaceState(null, "", location.pathname + location.hash);
const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  onComplete: () => token && ui.preauthorizeApiKey("token", token),
});
"""
POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"


def install(app: FastAPI) -> None:
    app.add_api_route("/docs", _page, include_in_schema=False)
    app.add_api_route("/docs/start.js", _script, include_in_schema=False)
    folder = files(fastapi_offline) / "static"
    app.mount("/docs/files", StaticFiles(directory=str(folder)), name="docs")


async def _page() -> HTMLResponse:
    return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})


async def _script() -> Response:
    return Response(SCRIPT, media_type="text/javascript")
