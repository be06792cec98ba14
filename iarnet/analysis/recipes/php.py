"""The Dockerfile of PHP pages: Apache with PHP, as the official image has it, on a port that needs no root."""

from collections.abc import Mapping
from dataclasses import dataclass

from iarnet.analysis.recipes import dockerfile

START = "apache2-foreground"
_BUNDLED = frozenset(
    [
        "core",
        "ctype",
        "curl",
        "date",
        "dom",
        "fileinfo",
        "filter",
        "ftp",
        "hash",
        "iconv",
        "json",
        "libxml",
        "mbstring",
        "mysqlnd",
        "openssl",
        "pcre",
        "pdo",
        "pdo_sqlite",
        "phar",
        "posix",
        "random",
        "readline",
        "reflection",
        "session",
        "simplexml",
        "sodium",
        "spl",
        "sqlite3",
        "standard",
        "tokenizer",
        "xml",
        "xmlreader",
        "xmlwriter",
        "zlib",
    ]
)
_LIBRARIES = {
    "pdo_pgsql": "libpq-dev", "pgsql": "libpq-dev", "zip": "libzip-dev", "gd": "libpng-dev", "intl": "libicu-dev",
    "xsl": "libxslt1-dev", "gmp": "libgmp-dev", "bz2": "libbz2-dev", "soap": "libxml2-dev", "ldap": "libldap2-dev",
    "imap": "libc-client-dev",
}  # fmt: skip
_PECL = frozenset({"redis", "mongodb", "amqp", "imagick", "xdebug", "memcached", "apcu", "swoole", "grpc"})


@dataclass(frozen=True)
class PhpBuild:
    """`documents`: the folder that is served. `assets`: a package.json whose build makes what the pages load."""

    version: str
    start: str
    documents: str = "."
    extensions: frozenset[str] = frozenset()
    composed: bool = False
    assets: bool = False
    laravel: bool = False
    port: int | None = None
    env: Mapping[str, str] | None = None


def php_recipe(build: PhpBuild) -> str:
    """Runs as the image's user 33 (www-data), who owns the files."""
    return dockerfile.joined(*(_assets() if build.assets else ()), *_stage(build))


def _assets() -> list[str]:
    return [
        "FROM node:22-slim AS assets",
        "WORKDIR /src",
        "COPY package*.json ./",
        dockerfile.run("npm", "install", "--no-audit", "--no-fund"),
        "COPY . .",
        dockerfile.run("npm", "run", "build"),
        "",
    ]


def _stage(build: PhpBuild) -> list[str | None]:
    serves = build.start == START
    root = "/app" if build.documents == "." else f"/app/{build.documents}"
    owned = "bootstrap/cache storage" if build.laravel else "."
    return [
        f"FROM php:{build.version}-{'apache' if serves else 'cli'}",
        *_extensions(build.extensions),
        "COPY --from=composer:2 /usr/bin/composer /usr/bin/composer" if build.composed else None,
        _apache(root, build.port or 8080) if serves else None,
        dockerfile.env(dict(build.env or {})),
        "WORKDIR /app",
        "COPY --chown=33:33 . .",
        "COPY --from=assets --chown=33:33 /src/public ./public" if build.assets else None,
        "ENV COMPOSER_ALLOW_SUPERUSER=1" if build.composed else None,
        dockerfile.run("composer", "install", "--no-dev", "--no-interaction", "--optimize-autoloader", "--no-scripts")
        if build.composed
        else None,
        f"RUN chown -R 33:33 {owned} && chown 33:33 /app" if build.composed else None,
        "USER 33",
        dockerfile.expose(build.port),
        dockerfile.cmd(build.start),
    ]


def _extensions(wanted: frozenset[str]) -> list[str | None]:
    compiled = sorted(wanted - _BUNDLED - _PECL)
    libraries = tuple(sorted({_LIBRARIES[name] for name in compiled if name in _LIBRARIES}))
    pecl = sorted(wanted & _PECL)
    return [
        dockerfile.apt((*libraries, "git", "unzip")),
        dockerfile.run("docker-php-ext-install", *compiled) if compiled else None,
        f"RUN pecl install {' '.join(pecl)} && docker-php-ext-enable {' '.join(pecl)}" if pecl else None,
    ]


def _apache(root: str, port: int) -> str:
    edits = f"s!/var/www/html!{root}!g; s!:80>!:{port}>!g"
    return (
        f"RUN sed -ri '{edits}' /etc/apache2/sites-available/*.conf /etc/apache2/apache2.conf "
        f"&& sed -ri 's!/var/www/!{root}!g' /etc/apache2/apache2.conf /etc/apache2/conf-available/*.conf "
        f"&& echo 'Listen {port}' > /etc/apache2/ports.conf && a2enmod rewrite"
    )
