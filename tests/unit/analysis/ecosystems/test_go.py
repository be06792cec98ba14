import pytest

from iarnet.analysis.ecosystems.go import Go
from tests.unit.analysis.ecosystems.recognising import ask, clue, codes, found, given, optional, port, required

G = Go()
MODULE = """module example.org/shop

go 1.23

require (
	github.com/gin-gonic/gin v1.9.0
	github.com/lib/pq v1.10.0
	golang.org/x/sys v0.1.0 // indirect
)

require github.com/redis/go-redis/v9 v9.1.0
"""


def program(body: str, *imports: str) -> str:
    lines = "".join(f'\t"{name}"\n' for name in imports)
    return f"package main\n\nimport (\n{lines})\n\nfunc main() {{\n\t{body}\n}}\n"


def module(body: str, *imports: str, **more: str) -> dict[str, str]:
    return {"go.mod": MODULE, "go.sum": "", "main.go": program(body, *imports), **more}


@pytest.mark.parametrize("files", [{}, {"lib.go": "package lib\n"}, {"a/go.mod": MODULE}])
def test_folders_of_another_kind(files: dict[str, str]) -> None:
    assert ask(G, files) is None


def test_sources_without_a_module_are_made_one() -> None:
    profile = found(G, {"main.go": program("println(1)")})
    assert (profile.kind, profile.start_command) == ("job", "./app")
    assert '"go", "mod", "init"' in (profile.recipe or "")


@pytest.mark.parametrize(
    ("body", "imports", "framework", "opened", "protocol"),
    [
        ('http.ListenAndServe(":8001", nil)', ("net/http",), None, 8001, "http"),
        ("s := http.Server{\n\t\tAddr: \":8002\",\n\t}\n\ts.ListenAndServe()", ("net/http",), None, 8002, "http"),
        ("r := gin.Default()\n\tr.Run()", ("github.com/gin-gonic/gin",), "gin", 8080, "http"),
        ('r := gin.Default()\n\tr.Run(":8003")', ("github.com/gin-gonic/gin",), "gin", 8003, "http"),
        ('e := echo.New()\n\te.Start(":8004")', ("github.com/labstack/echo/v4",), "echo", 8004, "http"),
        ('a := fiber.New()\n\ta.Listen(":8005")', ("github.com/gofiber/fiber/v2",), "fiber", 8005, "http"),
        ('r := chi.New()\n\thttp.ListenAndServe(":8006", r)', ("github.com/go-chi/chi/v5",), "chi", 8006, "http"),
        ('l, _ := net.Listen("tcp", ":8007")', ("google.golang.org/grpc",), "grpc", 8007, "grpc"),
        ('port := os.Getenv("PORT")\n\tif port == "" {\n\t\tport = "8008"\n\t}\n\thttp.ListenAndServe(":"+port, nil)',
         ("net/http",), None, 8008, "http"),
        ('http.ListenAndServe(":"+getEnv("PORT", "8009"), nil)', ("net/http",), None, 8009, "http"),
        ('a := flag.String("addr", ":8010", "")\n\thttp.ListenAndServe(*a, nil)', ("flag",), None, 8010, "http"),
        ('const port = 8011\n\thttp.ListenAndServe(fmt.Sprintf(":%d", port), nil)', ("fmt",), None, 8011, "http"),
        ('http.ListenAndServe(os.Getenv("ADDR"), nil)', ("os",), None, 8080, "http"),
    ],
)  # fmt: skip
def test_servers(body: str, imports: tuple[str, ...], framework: str | None, opened: int, protocol: str) -> None:
    profile = found(G, module(body, *imports))
    assert (profile.framework, profile.kind, port(profile)) == (framework, "api", opened)
    assert profile.ports[0].protocol == protocol
    assert profile.start_command == "./shop"
    assert clue(profile, "start_command")[1] == "main.go"


@pytest.mark.parametrize(
    "flag",
    [
        'flag.Int("port", 8081, "where to listen")',
        'cmd.Flags().IntP("port", "p", 8081, "where to listen")',
        'cmd.PersistentFlags().StringVar(&addr, "listen-addr", ":8081", "where to listen")',
        'viper.SetDefault("server.port", 8081)',
    ],
)
def test_the_default_of_a_flag_is_the_port(flag: str) -> None:
    assert port(found(G, module(f"{flag}\nhttp.ListenAndServe(addr, nil)", "net/http"))) == 8081


def test_an_address_is_given_as_one() -> None:
    assert given(found(G, module('http.ListenAndServe(os.Getenv("LISTEN_ADDR"), nil)', "os"))) == {
        "LISTEN_ADDR": ":8080"
    }
    assert given(found(G, module('http.ListenAndServe(":"+os.Getenv("PORT"), nil)', "os"))) == {"PORT": "8080"}


def test_settings_that_the_code_reads() -> None:
    body = (
        'a := os.Getenv("PLAIN")\n\tb := getEnv("DEFAULTED", "x")\n\tc := mustGetenv("SURE")\n'
        '\td := os.Getenv("CHECKED")\n\tif d == "" {\n\t\tlog.Fatal("no")\n\t}\n'
        '\te, ok := os.LookupEnv("LOOKED_UP")\n\tos.Setenv("WRITTEN", "1")'
    )
    tags = (
        'package main\n\ntype C struct {\n\tA string `env:"TAGGED,required"`\n\tB int `env:"OTHER" default:"y"`\n}\n'
    )
    profile = found(G, module(body, "os", **{"config.go": tags}))
    assert required(profile) == {"SURE", "CHECKED", "TAGGED"}
    assert optional(profile) == {"PLAIN", "DEFAULTED", "LOOKED_UP", "OTHER"}
    assert clue(profile, "env.OTHER") == ("y", "config.go", 5)


def test_dependencies_without_indirect_ones() -> None:
    names = {"github.com/gin-gonic/gin", "github.com/lib/pq", "github.com/redis/go-redis/v9"}
    assert found(G, module("")).dependencies == names


COMMANDS = {
    "go.mod": MODULE,
    "cmd/server/main.go": program(
        'http.ListenAndServe(fmt.Sprintf(":%d", cfg.Port), nil)', "example.org/shop/internal/config"
    ),
    "cmd/consumer/main.go": program('q := os.Getenv("QUEUE_URL")\n\tfor {\n\t}'),
    "cmd/admincli/main.go": program(""),
    "cmd/migrate/main.go": program(""),
    "internal/config/config.go": "package config\n\ntype C struct {\n"
    '\tPort int `env:"PORT" envDefault:"8088"`\n\tURL string `env:"DATABASE_URL,required"`\n}\n',
}


def test_several_programs_of_a_module_each_with_its_own_settings() -> None:
    profile = found(G, COMMANDS)
    assert (profile.start_command, port(profile), profile.kind) == ("./server", 8088, "api")
    assert required(profile) == {"DATABASE_URL"}
    assert [(w.start_command, w.kind, w.ports) for w in profile.workers] == [("./consumer", "worker", ())]
    assert optional(profile.workers[0]) == {"QUEUE_URL"}
    assert '"./cmd/consumer"' in (profile.workers[0].recipe or "")


def test_a_folder_of_the_module_as_root() -> None:
    profile = found(G, COMMANDS, "cmd/consumer")
    assert (profile.root, profile.context, profile.start_command) == ("cmd/consumer", ".", "./consumer")
    assert ask(G, COMMANDS, "internal/config") is None


@pytest.mark.parametrize(
    ("start", "package", "binary", "command"),
    [
        ("bin/consumer -v", "./cmd/consumer", "/app/bin/consumer", '["bin/consumer", "-v"]'),
        ("./server --port 8099", "./cmd/server", "/app/server", '["./server", "--port", "8099"]'),
        ("go run ./cmd/consumer -v", "./cmd/consumer", "/app/consumer", '["./consumer", "-v"]'),
        ("go run cmd/server/main.go", "./cmd/server", "/app/server", '["./server"]'),
        ("/app/server", "./cmd/server", "/app/server", '["/app/server"]'),
    ],
)
def test_a_declared_command_finds_its_program(start: str, package: str, binary: str, command: str) -> None:
    recipe = found(G, COMMANDS, start=start).recipe or ""
    assert f'"{package}"]' in recipe
    assert f'["/out/program", "{binary}"]' in recipe
    assert f"CMD {command}" in recipe


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ('http.HandleFunc("/healthz", h)', "/healthz"),
        ('mux.HandleFunc("GET /health", h)', "/health"),
        ('r.GET("/ping", h)', "/ping"),
        ('api := r.Group("/api")\n\tapi.GET("/health", h)', None),
        ('http.HandleFunc("/orders", h)', None),
    ],
)
def test_health_routes(body: str, path: str | None) -> None:
    profile = found(G, module(f'{body}\n\thttp.ListenAndServe(":80", nil)'))
    assert (profile.health.path if profile.health else None) == path


def test_kinds() -> None:
    pages = found(G, module('http.Handle("/", http.FileServer(d))\n\thttp.ListenAndServe(":80", nil)'))
    loop = found(G, module("for {\n\t}"))
    once = found(G, module("fmt.Println(1)"))
    assert [pages.kind, loop.kind, once.kind] == ["web", "worker", "job"]


def test_a_server_on_loopback_is_pointed_out() -> None:
    assert codes(found(G, module('http.ListenAndServe("localhost:8080", nil)'))) == ["loopback"]


@pytest.mark.parametrize(
    ("directive", "image"),
    [
        ("go 1.23", "1.23"),
        ("go 1.22.5\ntoolchain go1.24.1", "1.24"),
        ("go 1.13", "1.21"),
        ("go 1.99", "1"),
        ("", "1.24"),
    ],
)
def test_versions(directive: str, image: str) -> None:
    files = {"go.mod": f"module example.org/x\n{directive}\n", "main.go": program("")}
    assert (found(G, files).recipe or "").startswith(f"FROM golang:{image} AS build\n")


def test_recipes_know_sqlite_vendored_modules_and_neighbours() -> None:
    sqlite = MODULE + "require github.com/mattn/go-sqlite3 v1.14.0\n"
    assert "CGO_ENABLED=1" in (found(G, {"go.mod": sqlite, "main.go": program("")}).recipe or "")
    dialect = 'package db\n\nimport _ "github.com/jinzhu/gorm/dialects/sqlite"\n'
    of_gorm = {"go.mod": MODULE, "db/db.go": dialect, "main.go": program("", "example.org/shop/db")}
    assert "CGO_ENABLED=1" in (found(G, of_gorm).recipe or "")
    assert "download" not in (found(G, module("", **{"vendor/modules.txt": ""})).recipe or "")
    beside = MODULE + "replace example.org/lib => ../lib\n"
    profile = found(G, {"svc/go.mod": beside, "svc/main.go": program(""), "lib/go.mod": MODULE}, "svc")
    assert profile.context == "."
    assert "COPY . /src" in (profile.recipe or "")


def test_files_that_lie_beside_the_binary() -> None:
    recipe = found(G, module("", **{"templates/a.html": "x", "config/config.go": "package config\n"})).recipe or ""
    assert '["templates", "templates"]' in recipe
    assert '["config", "config"]' not in recipe


def test_a_library_is_known_and_does_not_run() -> None:
    assert not found(G, {"go.mod": MODULE, "shop.go": "package shop\n"}).runnable


@pytest.mark.parametrize("text", ["", "module", "module \x7f\n", "module a b c\nrequire ("])
def test_broken_manifests(text: str) -> None:
    assert found(G, {"go.mod": text, "main.go": program("")}).start_command


def test_packages_come_in_the_same_order_each_time() -> None:
    names = [f"p{number}" for number in range(12)]
    packages = {f"{name}/a.go": f'package {name}\nvar X = os.Getenv("{name.upper()}")\n' for name in names}
    main = program("", *(f"example.org/shop/{name}" for name in reversed(names)))
    profile = found(G, {"go.mod": MODULE, "main.go": main, **packages})
    assert [clue.field for clue in profile.clues if clue.field.startswith("env.")] == sorted(
        f"env.{name.upper()}" for name in names
    )
