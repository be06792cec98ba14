"""Ruby with Bundler: Rails, Sinatra and whatever else Rack serves; Sidekiq, scripts."""

import re
from dataclasses import replace

from iarnet.analysis.base import Files, Profile
from iarnet.analysis.ecosystems.manifests import join, line_of, matches, names
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.program import Framework, Outline, chosen, library, profile
from iarnet.analysis.ecosystems.signs import Code, Signs, read_signs
from iarnet.analysis.ecosystems.versions import NUMBER, asked, minor
from iarnet.analysis.recipes.ruby import RubyBuild, ruby_recipe

DEFAULT_VERSION = "3.3"
FRAMEWORKS = (
    Framework("rails", ("rails", "railties"), 3000, pages=True),
    Framework("hanami", ("hanami",), 2300, pages=True),
    Framework("sinatra", ("sinatra",), 4567),
    Framework("grape", ("grape",), 9292),
    Framework("roda", ("roda",), 9292),
    Framework("sidekiq", ("sidekiq",), None),
)
SIGNS = Signs(
    (".rb", ".ru"),
    re.compile(
        r"\bENV(?:\.fetch\(|\[)\s{0,20}[\"'](?P<name>[A-Z][A-Z0-9_]{0,80})[\"']"
        r"(?:\]?\s{0,9}(?:,|\|\||\)\s{0,9}\{)\s{0,9}[\"']?(?P<default>[\w./:-]{1,100})[\"']?)?"
    ),
    listen=re.compile(
        r"(?:\bset\s{1,20}:port,|:Port\s{0,20}=>|\bPort:|TCPServer\.new\(?|^\s{0,20}port\s)(?P<at>[^\n]{1,120})", re.M
    ),
    route=re.compile(r"^\s{0,20}get\s{0,20}\(?\s{0,20}[\"'](?P<path>/?[\w/-]{1,60})[\"']", re.M),
    pages=re.compile(r"\berb\s{1,20}:|\bhaml\s{1,20}:|<html|text/html", re.I),
    waits=re.compile(r"^\s{0,20}loop\s{1,20}(?:do|\{)|\.subscribe\(", re.M),
)
_GEM = re.compile(r"^\s{0,20}gem\s{0,20}\(?\s{0,20}[\"']([\w./-]{1,80})[\"']", re.MULTILINE)
_RUBY = re.compile(r"^\s{0,20}ruby\s{0,20}\(?\s{0,20}[\"'][^\d\n]{0,5}([\d.]{1,12})", re.MULTILINE)
_ENTRIES = ("app.rb", "main.rb", "server.rb", "application.rb", "bot.rb", "worker.rb", "index.rb")


class Ruby:
    name = "ruby"

    def recognise(self, files: Files, root: str, start: str | None = None) -> Profile | None:
        present = names(files, root)
        entry = next((name for name in _ENTRIES if name in present), None)
        bundled = "Gemfile" in present
        if not (bundled or entry or ("config.ru" in present)):
            return None
        notes = Notes()
        manifest = join(root, "Gemfile" if bundled else entry or "config.ru")
        dependencies = _gems(files, manifest) if bundled else {}
        code = read_signs(files, root, SIGNS, ("Gemfile",))
        framework = chosen(FRAMEWORKS, dependencies) or (FRAMEWORKS[2] if "sinatra" in _required(code) else None)
        found = _start(present, framework, entry, bundled=bundled)
        if found is None and start is None:
            return library(root, "ruby", dependencies, notes) if bundled else None
        command, file = (start, manifest) if start else found or ("", manifest)
        outline = Outline(
            root,
            "ruby",
            manifest,
            command,
            framework=framework,
            file=file if start else join(root, file),
            seen=code.seen,
            dependencies=dependencies,
            waits=code.waits,
        )
        version = _version(files, root, notes)
        build = RubyBuild(version, command, present, frozenset(dependencies), _assets(files, root))
        outline = replace(
            outline,
            recipe=lambda port, env: ruby_recipe(replace(build, port=port, env=env)),
            workers=() if start else _workers(outline, build),
        )
        return profile(outline, notes)


def _gems(files: Files, manifest: str) -> dict[str, int | None]:
    text = (files.text(manifest) or "")[:200_000]
    return {found[1]: text.count("\n", 0, found.start(1)) + 1 for found in matches(_GEM, text)}


def _required(code: Code) -> str:
    return " ".join(
        re.findall(r"require\s{0,20}\(?\s{0,20}[\"']([\w/-]{1,60})", "".join(list(code.texts.values())[:20]))
    )


def _start(
    present: frozenset[str], framework: Framework | None, entry: str | None, *, bundled: bool
) -> tuple[str, str] | None:
    """The command, and the file that says so."""
    prefix = "bundle exec " if bundled else ""
    if framework and framework.name == "rails":
        return (
            "bundle exec rails server -b 0.0.0.0 -p ${PORT:-3000}",
            "config.ru" if "config.ru" in present else "Gemfile",
        )
    if "config.ru" in present:
        return (
            f"{prefix}rackup config.ru -o 0.0.0.0 -p ${{PORT:-3000}}",
            "config.ru",
        )
    if entry and framework and framework.name == "sinatra":
        return f"{prefix}ruby {entry} -o 0.0.0.0 -p ${{PORT:-4567}}", entry
    if entry:
        return f"{prefix}ruby {entry}", entry
    return ("bundle exec sidekiq", "Gemfile") if framework and framework.name == "sidekiq" else None


def _workers(outline: Outline, build: RubyBuild) -> tuple[Profile, ...]:
    """Sidekiq beside a server of the same folder."""
    start = "bundle exec sidekiq"
    if "sidekiq" not in outline.dependencies or outline.start == start:
        return ()
    recipe = ruby_recipe(replace(build, start=start))
    worker = replace(outline, start=start, framework=FRAMEWORKS[-1], kind="worker", recipe=lambda port, env: recipe)
    return (profile(worker, Notes()),)


def _version(files: Files, root: str, notes: Notes) -> str:
    """`.ruby-version`, the Gemfile, the lock file."""
    if wish := asked(files, root, "ruby", (".ruby-version",), notes):
        return minor(wish)
    for name, expression in (("Gemfile", _RUBY), ("Gemfile.lock", re.compile(r"^\s{1,9}ruby ([\d.]{1,12})", re.M))):
        path = join(root, name)
        found = expression.search((files.text(path) or "")[:200_000])
        number = NUMBER.search(found[1]) if found else None
        if found and number:
            notes.clue("version", number[1], path, line_of(files.text(path), found[0].strip()))
            return minor(number[1])
    return DEFAULT_VERSION


def _assets(files: Files, root: str) -> bool:
    return bool(files.paths(join(root, "app/assets"), 3) or files.paths(join(root, "app/javascript"), 3))
