"""The Dockerfile of files that nginx serves, and the last stage of every program that is built into such files."""

from dataclasses import dataclass

from iarnet.analysis.recipes import dockerfile

PORT = 8080
START = "nginx -g 'daemon off;'"
DOCUMENTS = "/usr/share/nginx/html"
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True)
class Site:
    """`fallback` is served for paths that are no file: `/index.html` for a single-page application. None: 404."""

    fallback: str | None = None
    port: int = PORT


def static_recipe(folder: str, site: Site) -> str:
    """The files in `folder` of the context as they are."""
    return dockerfile.joined(*nginx_stage(f"COPY {folder} {DOCUMENTS}", site))


def hugo_recipe() -> str:
    build = "RUN hugo --minify --baseURL / --destination /site"
    install = dockerfile.apt(("hugo", "git", "ca-certificates"))
    stage = ("FROM debian:bookworm-slim AS build", install, "WORKDIR /src", "COPY . .", build)
    return dockerfile.joined(*stage, "", *nginx_stage(f"COPY --from=build /site {DOCUMENTS}", Site()))


def jekyll_recipe(*, bundled: bool) -> str:
    """With a `Gemfile` its own Jekyll, else the distribution's."""
    if bundled:
        install = ["FROM ruby:3.3-slim AS build", dockerfile.apt(("build-essential", "git")), "WORKDIR /src"]
        copy = ["COPY Gemfile* ./", dockerfile.run("bundle", "install"), "COPY . ."]
        build = dockerfile.run("bundle", "exec", "jekyll", "build", "--baseurl", "", "--destination", "/site")
    else:
        install = [
            "FROM debian:bookworm-slim AS build",
            dockerfile.apt(("jekyll", "ruby-jekyll-feed")),
            "WORKDIR /src",
        ]
        copy = ["ENV LANG=C.UTF-8", "COPY . ."]
        build = dockerfile.run("jekyll", "build", "--baseurl", "", "--destination", "/site")
    return dockerfile.joined(*install, *copy, build, "", *nginx_stage(f"COPY --from=build /site {DOCUMENTS}", Site()))


def nginx_stage(copy: str, site: Site) -> list[str]:
    """A stage that serves as user 101, and writes nowhere but to `/tmp`."""
    return [
        "FROM nginx:stable",
        _write("/etc/nginx/nginx.conf", _configuration(site)),
        copy,
        "USER 101",
        f"EXPOSE {site.port}",
        dockerfile.cmd(START),
    ]


def _write(path: str, lines: list[str]) -> str:
    quoted = " ".join(f"'{line}'" for line in lines)
    return f"RUN printf '%s\\n' {quoted} > {path}"


def _configuration(site: Site) -> list[str]:
    fallback = site.fallback or "$uri.html =404"
    return [
        "pid /tmp/nginx.pid;",
        "worker_processes 2;",
        "error_log /dev/stderr warn;",
        "events { worker_connections 1024; }",
        "http {",
        "include /etc/nginx/mime.types;",
        "default_type application/octet-stream;",
        "access_log /dev/stdout;",
        "sendfile on;",
        "server_tokens off;",
        "gzip on;",
        "gzip_types text/css application/javascript application/json image/svg+xml;",
        *(f"{name}_temp_path /tmp/{name};" for name in _TEMPORARY),
        "server {",
        f"listen {site.port};",
        f"root {DOCUMENTS};",
        "index index.html;",
        "absolute_redirect off;",
        f"location / {{ try_files $uri $uri/ {fallback}; }}",
        "}",
        "}",
    ]
