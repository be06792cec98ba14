"""Whatever is in the files: an answer, within a bounded time, and never an error."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iarnet.analysis.ecosystems.catalog import ECOSYSTEMS
from tests.unit.analysis.ecosystems.recognising import ask

MANIFESTS = (
    "pyproject.toml", "requirements.txt", "Pipfile", "setup.cfg", "setup.py", ".python-version",
    "runtime.txt", "package.json", "pnpm-workspace.yaml", "pnpm-lock.yaml", ".nvmrc", "angular.json",
    "next.config.js", "go.mod", "pom.xml", "build.gradle", "settings.gradle", "hugo.toml", "_config.yml",
    "Gemfile", "src/main/resources/application.properties", "prisma/schema.prisma", "Cargo.toml",
    "composer.json", "mix.exs", "App.csproj", "deno.jsonc", "CMakeLists.txt", "Makefile", "gleam.toml",
    "Package.swift", "build.sbt", "rust-toolchain.toml", ".tool-versions", "mise.toml", "package.json5",
    "start.sh",
)  # fmt: skip
SOURCES = (
    "main.py",
    "manage.py",
    "index.js",
    "src/server.ts",
    "main.go",
    "src/main/java/App.java",
    "index.html",
    "src/main.rs",
    "app.rb",
    "config.ru",
    "index.php",
    "lib/app.ex",
    "Program.cs",
    "main.ts",
    "main.cpp",
)
WORDS = ("os.environ[", "process.env.", "import ", "from . import ", "app = FastAPI()", "def create_app():\n",
         ".listen(",
         '"', "'", "{", "}", "(", ")", "[", "]", "\n", " ", "=", ":", "8080", "PORT", "${", "<a>", "<!DOCTYPE", 
         "package main\n", "func main() {", "os.Getenv(", "[project]\n", "dependencies", "\\", "`", "// ", "# ",
         "-r ", "../", "fn main() {", "Deno.serve(", "gem 'rails'\n", "ENV['A']", "app: :a", "int main(",
         "add_executable(", "::bind(",
         "<Project Sdk='Microsoft.NET.Sdk.Web'>", "[package]\nname = 'a'\n",
         "\x00", "é", "\ud7ff")  # fmt: skip
TEXT = st.one_of(st.text(max_size=300), st.lists(st.sampled_from(WORDS), max_size=60).map("".join))

BOMBS = {
    "pyproject.toml": ["a = " + "[" * 50_000, "a" + ".a" * 50_000 + " = 1", "[" + "a." * 50_000 + "a]"],
    "package.json": ["[" * 100_000, '{"a":' * 100_000, '{"scripts": {"start": "' + "serve a:" * 20_000 + '"}}'],
    "pom.xml": ["<a>" * 90_000, "<a " + "b='c' " * 40_000 + "/>", '<!DOCTYPE l [<!ENTITY a "b">]><l>&a;</l>'],
    "main.py": ["(" * 5000, "-" * 100_000 + "1", "environ" + ".b" * 60_000, "x = " + "not " * 40_000 + "1"],
    "requirements.txt": ["-r requirements.txt\n" * 1000, "a" * 500_000, "git+" * 50_000],
    "go.mod": ["require " * 50_000, "replace a => " + "../" * 50_000, "module " + "a/" * 50_000],
}
FILLERS = ("a", "\n", " ", '"', "(", "{", "=", "env", "port", "a b ", "a=", "`env:", "$" + "{", "os.Getenv(",
           "app.listen(",
           "process.env.", "const {", "port = ", "config.get(", "@Value(", "from .", "import ", "languageVersion",
           'x := os.Getenv("A")\n', 'A: z.a\n', "<module>", "\n- ", "serve ")  # fmt: skip
FILLED = ("main.py", "requirements.txt", "setup.cfg", "index.js", "package.json", "pnpm-workspace.yaml",
          "vite.config.js", "main.go", "go.mod", "App.java", "build.gradle", "src/main.rs", "app.rb", "index.php",
          "mix.exs", "Program.cs", "main.cpp",
          "src/main/resources/application.yml", "pom.xml")  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    manifests=st.dictionaries(st.sampled_from(MANIFESTS), TEXT, min_size=1, max_size=5),
    sources=st.dictionaries(st.sampled_from(SOURCES), TEXT, max_size=3),
    start=st.none() | TEXT,
)
def test_any_text_gets_an_answer(manifests: dict[str, str], sources: dict[str, str], start: str | None) -> None:
    assert everybody({**manifests, **sources}, start)


BASE = {
    "requirements.txt": "", "main.py": "print(1)", "package.json": "{}", "go.mod": "module a\n",
    "main.go": "package main\n", "pom.xml": "<p/>", "Cargo.toml": "[package]\nname = 'a'\n",
    "src/main.rs": "fn main() {}", "Gemfile": "", "app.rb": "", "index.php": "", "mix.exs": "app: :a, mod: {A, []}",
    "App.csproj": "<Project/>", "Program.cs": "", "CMakeLists.txt": "add_executable(a)", "main.cpp": "int main() {}",
    "build.sbt": "",
}  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_do_not_go_off(name: str) -> None:
    for text in BOMBS[name]:
        assert everybody({**BASE, name: text})


@pytest.mark.timeout(90)
@pytest.mark.parametrize("name", FILLED)
def test_a_large_file_of_one_thing_takes_no_longer_than_it_should(name: str) -> None:
    for filler in FILLERS:
        assert everybody({**BASE, name: filler * (190_000 // len(filler))})


BEGUN = {
    "index.js": ("process.env.A", "import.meta.env.A", "!process.env.A)", "host:", "app: a", "config.get(", "port",
                 "new Server", "onfig.get("),
    "main.go": ('x := os.Getenv("A")', 'x := os.Getenv("A")\nif x == "" {', "flag.String(", "net.Listen(", "x :="),
    "build.gradle": ("implementation", "api (", "id", "apply plugin:", "mainClass", "sourceCompatibility"),
    "App.java": ("getenv(", "getenv()", "@Value(", "createContext(", "port(", "public static void"),
    "application.yml": ("server:\n", "  port:"),
    "main.py": ("environ", "from a import", "import a"),
    "Procfile": ("web:", "a"),
    "src/main.rs": ('env::var("A")', ".bind(", "fn main", ".route("),
    "app.rb": ("ENV['A']", "set :port,", "get", "loop", "port "),
    "index.php": ("getenv('A'", "Route::get(", "$_ENV["),
    "mix.exs": ("app:", "{", "http: [", "options: [", "get", 'System.get_env("A")'),
    "Program.cs": ('Environment.GetEnvironmentVariable("A")', "UseUrls(", "static void"),
    "main.cpp": ("getenv(", "htons(", "while", "int main"),
    "CMakeLists.txt": ("add_executable(", "project("),
    "build.sbt": ("name", "name :="),
}  # fmt: skip


@pytest.mark.timeout(90)
@pytest.mark.parametrize("name", BEGUN)
def test_what_begins_well_and_goes_on_for_ever_with_nothing_is_soon_done_with(name: str) -> None:
    files, path, head = AROUND.get(name, (BASE, name, ""))
    for begin in BEGUN[name]:
        for filler in (" ", "\t", "\n", "\n "):
            assert everybody({**files, path: head + begin + filler * (100_000 // len(filler)) + "!"})


JAVA = "class App { public static void main(String[] a) { } }\n"
GRADLE = {"build.gradle": "plugins { id 'java' }", "src/main/java/App.java": JAVA}
AROUND: dict[str, tuple[dict[str, str], str, str]] = {
    "index.js": ({"package.json": '{"scripts": {"start": "node index.js"}}'}, "index.js", ""),
    "main.go": ({"go.mod": "module a\n"}, "main.go", "package main\n\nfunc main() {\n}\n"),
    "build.gradle": (GRADLE, "build.gradle", ""),
    "App.java": (GRADLE, "src/main/java/App.java", JAVA),
    "application.yml": (GRADLE, "src/main/resources/application.yml", ""),
    "main.py": ({"requirements.txt": "flask"}, "main.py", ""),
}


def everybody(files: dict[str, str], start: str | None = None) -> bool:
    profiles = [ask(ecosystem, files, start=start) for ecosystem in ECOSYSTEMS]
    return all(profile is None or profile.language for profile in profiles)


def test_a_thousand_files_are_not_all_read() -> None:
    files = {"requirements.txt": "", "main.py": "print(1)"}
    files |= {f"pkg{n // 50}/m{n}.py": "import os\nX = os.environ['A']\n" for n in range(1500)}
    profile = ask(ECOSYSTEMS[0], files)
    assert profile
    assert profile.env == ()
