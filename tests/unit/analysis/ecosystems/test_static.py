import pytest

from iarnet.analysis.ecosystems.static import Static
from tests.unit.analysis.ecosystems.recognising import ask, found, port

S = Static()


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"README.md": ""},
        {"a.html": ""},
        {"docs/index.html": ""},
        {"config.toml": "baseURL = 1"},
        {"_config.yml": ""},
    ],
)
def test_folders_of_another_kind(files: dict[str, str]) -> None:
    assert ask(S, files) is None


@pytest.mark.parametrize(
    ("files", "framework", "step"),
    [
        ({"index.html": "x"}, None, "COPY . /usr/share/nginx/html"),
        ({"public/index.html": "x"}, None, "COPY public /usr/share/nginx/html"),
        ({"hugo.toml": ""}, "hugo", "RUN hugo"),
        ({"config.toml": "baseURL = 1", "content/a.md": ""}, "hugo", "RUN hugo"),
        ({"_config.yml": "", "Gemfile": "gem 'jekyll'"}, "jekyll", '"bundle", "exec", "jekyll"'),
        ({"_config.yml": "", "_posts/a.md": ""}, "jekyll", '"jekyll", "build"'),
    ],
)
def test_sites(files: dict[str, str], framework: str | None, step: str) -> None:
    profile = found(S, files)
    assert (profile.framework, profile.kind, port(profile)) == (framework, "static", 8080)
    assert step in (profile.recipe or "")
    assert profile.health
    assert (profile.health.type, profile.health.path) == ("http", "/")


def test_a_program_is_declared() -> None:
    assert ask(S, {"index.html": ""}, start="python serve.py") is None


def test_a_page_in_the_sources_of_a_package_is_what_its_bundler_starts_from() -> None:
    assert ask(S, {"web/src/index.html": "<div id=app>", "web/package.json": "{}"}, "web/src") is None
