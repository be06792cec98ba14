"""PHP with or without Composer: Laravel, Symfony, WordPress, other frameworks, plain pages."""

import re
from dataclasses import replace
from typing import Any

from iarnet.analysis.base import Files, Profile
from iarnet.analysis.ecosystems import commands
from iarnet.analysis.ecosystems.manifests import join, line_of, names, read_json, table, text_at
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.program import Framework, Outline, chosen, library, profile
from iarnet.analysis.ecosystems.sightings import EnvRead
from iarnet.analysis.ecosystems.signs import Signs, read_signs
from iarnet.analysis.ecosystems.versions import asked, minor
from iarnet.analysis.recipes.php import START, PhpBuild, php_recipe
from iarnet.analysis.services import by_setting
from iarnet.models.component import ComponentKind

VERSIONS = ("7.4", "8.0", "8.1", "8.2", "8.3", "8.4")
DEFAULT_VERSION = "8.3"
PORT = 8080
FRAMEWORKS = (
    Framework("laravel", ("laravel/framework", "laravel/laravel"), pages=True),
    Framework("lumen", ("laravel/lumen-framework",)),
    Framework("symfony", ("symfony/framework-bundle", "symfony/symfony"), pages=True),
    Framework("wordpress", ("roots/wordpress", "johnpbloch/wordpress"), pages=True),
    Framework("drupal", ("drupal/core", "drupal/core-recommended"), pages=True),
    Framework("codeigniter", ("codeigniter4/framework",), pages=True),
    Framework("cakephp", ("cakephp/cakephp",), pages=True),
    Framework("yii", ("yiisoft/yii2", "yiisoft/yii"), pages=True),
    Framework("slim", ("slim/slim",)),
    Framework("laminas", ("laminas/laminas-mvc", "mezzio/mezzio"), pages=True),
)
_WORDPRESS = ("wp-load.php", "wp-config-sample.php", "wp-config.php", "wp-settings.php")
SIGNS = Signs(
    (".php",),
    re.compile(
        r"(?:\b(?:getenv|env)\(\s{0,20}|\$_(?:ENV|SERVER)\[\s{0,20})[\"'](?P<name>[A-Z][A-Z0-9_]{1,80})[\"']"
        r"(?:\s{0,9}[\]\)]?\s{0,9}(?:,|\?\?|\?:)\s{0,9}[\"']?(?P<default>[\w./:@-]{1,100})[\"']?)?"
    ),
    route=re.compile(r"(?:Route::|->)get\(\s{0,9}[\"'](?P<path>/?[\w/-]{1,60})[\"']"),
)
_REQUEST = re.compile(r"(?:HTTP|REQUEST|SERVER|REMOTE|SCRIPT|DOCUMENT|QUERY|PATH|PHP)_\w{1,80}|HTTPS|argv|argc")
_DRIVERS = {"mysql": "mysql", "mariadb": "mysql", "pgsql": "pg", "postgres": "pg", "postgresql": "pg"}
_CONNECTION = re.compile(r"^(?:DB_CONNECTION|DATABASE_URL)[ \t]{0,20}=[ \t]{0,20}[\"']?(\w{1,20})", re.MULTILINE)
_DATABASE = re.compile(r"^DB_HOST[ \t]{0,20}=", re.MULTILINE)
"""Without a connection of another kind, it is MySQL's."""
_DSN = re.compile(r"[\"'](mysql|pgsql):host=")
_PORT = re.compile(r"^(?:APP_PORT|PORT)[ \t]{0,20}=[ \t]{0,20}[\"']?(\d{2,5})\b", re.MULTILINE)


class Php:
    name = "php"

    def recognise(self, files: Files, root: str, start: str | None = None) -> Profile | None:
        present = names(files, root)
        manifest = join(root, "composer.json")
        pages = sorted(
            (name for name in present if name.endswith(".php")), key=lambda name: (name != "index.php", name)
        )
        documents = _documents(files, root)
        if "composer.json" not in present and documents is None and not (start and pages):
            return None
        if documents is None and "artisan" in present:
            documents = "public"
        notes = Notes()
        composer = read_json(files, manifest, notes) if "composer.json" in present else {}
        dependencies = _dependencies(files, root, composer)
        if documents is None and not start:
            return library(root, "php", dependencies, notes)
        framework = _framework(dependencies, present)
        code = read_signs(files, root, SIGNS, ("composer.json",))
        code.seen.env = [read for read in code.seen.env if not _REQUEST.fullmatch(read.name)]
        if framework and framework.name in _OFFERING:
            choices = _choices(files, root, code.seen.env)
            code.seen.env = [read for read in code.seen.env if not (_offered(read, root) and _spare(read, choices))]
            dependencies = {n: line for n, line in dependencies.items() if choices & _CLIENTS.get(n, choices)}
        named = {name for text in code.texts.values() for name in _DSN.findall(text)}
        dependencies |= {_DRIVERS[name]: None for name in named}
        file = join(root, "index.php" if documents in (".", None) else f"{documents}/index.php")
        serves = start is None or _serves(start)
        build = PhpBuild(
            _version(files, root, composer, notes),
            START if serves else start or "",
            documents or ".",
            _extensions(composer, dependencies, framework),
            composed="composer.json" in present,
            assets="package.json" in present and "vite" in (files.text(join(root, "package.json")) or ""),
            laravel=framework is not None and framework.name == "laravel",
        )
        outline = Outline(
            root,
            "php",
            manifest if composer else file,
            build.start,
            framework=framework,
            file=file if files.exists(file) else manifest,
            line=1,
            seen=code.seen,
            dependencies=dependencies,
            kind=_kind(framework, serves=serves, start=start),
            fixed=_port(files, root) if serves else None,
            recipe=lambda port, env: php_recipe(replace(build, port=port, env=env)),
        )
        return profile(replace(outline, workers=() if start else _workers(outline, build)), notes)


def _documents(files: Files, root: str) -> str | None:
    """The folder that the web server shows: never one that would show more than the application's front page."""
    for folder in ("public", "web", "webroot", "htdocs", "www", "public_html", "."):
        if files.exists(join(root, "index.php" if folder == "." else f"{folder}/index.php")):
            return folder
    return None


def _dependencies(files: Files, root: str, composer: dict[str, Any]) -> dict[str, int | None]:
    """With the driver that the settings for development name: frameworks bring all of them."""
    text = files.text(join(root, "composer.json"))
    found = {str(name).lower(): line_of(text, f'"{name}"') for name in table(composer, "require")}
    for name in _EXAMPLES:
        text = (files.text(join(root, name)) or "")[:50_000]
        said = _CONNECTION.search(text)
        if said or _DATABASE.search(text):
            driver = _DRIVERS.get(said[1]) if said else "mysql"
            return found | ({driver: None} if driver else {})
    return found


def _choices(files: Files, root: str, reads: list[EnvRead]) -> set[str]:
    """The drivers that the project chooses, of all that the framework's configuration offers: `CACHE_STORE=database`
    needs no Redis. What the example of the settings leaves out is as in the code."""
    example = next((text for name in _EXAMPLES if (text := files.text(join(root, name)))), "")[:50_000]
    said = dict(_CHOICE.findall(example))
    usual = dict(_CHOICE.findall("\n".join(f"{read.name}={read.default}" for read in reads if read.default)))
    return {value.lower() for value in (usual | said).values()} | {"*"}


def _spare(read: EnvRead, choices: set[str]) -> bool:
    service = by_setting(read.name)
    return service is not None and choices.isdisjoint({service.key, *service.images})


def _offered(read: EnvRead, root: str) -> bool:
    return "/config/" in f"/{read.file.removeprefix(join(root, ''))}".lower()


_OFFERING = ("laravel", "lumen")
_CLIENTS = {"predis/predis": {"redis"}, "ext-redis": {"redis"}, "ext-memcached": {"memcached"}}
_EXAMPLES = (".env.example", ".env", ".env.dist")
_CHOICE = re.compile(
    r"^([A-Z_]{1,40}_(?:CONNECTION|STORE|DRIVER))[ \t]{0,9}=[ \t]{0,9}[\"']?(\w{1,30})", re.MULTILINE
)


def _framework(dependencies: dict[str, int | None], present: frozenset[str]) -> Framework | None:
    if not present.isdisjoint(_WORDPRESS):
        return next(framework for framework in FRAMEWORKS if framework.name == "wordpress")
    return chosen(FRAMEWORKS, dependencies)


def _serves(start: str) -> bool:
    """Commands that start a server: ours takes its place."""
    words = commands.words(start)
    server = words[:2] == ["php", "-S"] or "serve" in words or "server:run" in words or "server:start" in words
    return (
        server or words[:1] in (["apache2-foreground"], ["heroku-php-apache2"], ["php-fpm"]) or "heroku-php" in start
    )


def _kind(framework: Framework | None, *, serves: bool, start: str | None) -> ComponentKind:
    if serves:
        return "api" if framework and not framework.pages else "web"
    return commands.kind_of(start or "") or (
        "worker" if re.search(r"queue|horizon|work|consume|schedule", start or "") else "job"
    )


def _workers(outline: Outline, build: PhpBuild) -> tuple[Profile, ...]:
    """Horizon runs the queues of Laravel."""
    if "laravel/horizon" not in outline.dependencies:
        return ()
    start = "php artisan horizon"
    recipe = php_recipe(replace(build, start=start))
    worker = replace(outline, start=start, kind="worker", fixed=None, recipe=lambda port, env: recipe)
    return (profile(worker, Notes()),)


def _port(files: Files, root: str) -> int:
    for name in (".env", ".env.example"):
        found = _PORT.search((files.text(join(root, name)) or "")[:50_000])
        if found and 1024 <= int(found[1]) < 65536:
            return int(found[1])
    return PORT


def _version(files: Files, root: str, composer: dict[str, Any], notes: Notes) -> str:
    """What `composer.json` asks for: the newest that is named, as `^8.1` may well not run on 9."""
    path = join(root, "composer.json")
    wish: str = text_at(composer, "config", "platform", "php") or text_at(composer, "require", "php") or ""
    named: list[str] = [found for found in re.findall(r"(?<![\d.])\d{1,2}\.\d{1,2}", wish[:200]) if found in VERSIONS]
    if named:
        version = max(named, key=VERSIONS.index)
        notes.clue("version", version, path, line_of(files.text(path), '"php"'))
        return max(version, DEFAULT_VERSION, key=VERSIONS.index) if ">" in wish and "<" not in wish else version
    own = asked(files, root, "php", (".php-version",), notes)
    return minor(own) if own and minor(own) in VERSIONS else DEFAULT_VERSION


def _extensions(
    composer: dict[str, Any], dependencies: dict[str, int | None], framework: Framework | None
) -> frozenset[str]:
    wanted = {name.removeprefix("ext-") for name in table(composer, "require") if name.startswith("ext-")}
    wanted |= {extension for name, extension in (("mysql", "pdo_mysql"), ("pg", "pdo_pgsql")) if name in dependencies}
    if framework and framework.name == "wordpress":
        wanted |= {"mysqli", "gd", "zip"}
    return frozenset(wanted | ({"pdo_mysql", "zip"} if framework and framework.pages else set()))
