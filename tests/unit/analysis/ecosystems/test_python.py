import pytest

from iarnet.analysis.ecosystems.python import Python
from tests.unit.analysis.ecosystems.recognising import ask, clue, codes, found, given, optional, port, required

P = Python()
FLASK = "from flask import Flask\napp = Flask(__name__)\n"
FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"README.md": "python main.py"},
        {"package.json": "{}", "index.js": ""},
        {"scripts/main.py": "print(1)"},
        {"lib.py": "x = 1"},
    ],
)
def test_folders_of_another_kind(files: dict[str, str]) -> None:
    assert ask(P, files) is None


@pytest.mark.parametrize(
    ("files", "framework", "kind", "start", "opened"),
    [
        (
            {"requirements.txt": "fastapi\n", "main.py": FASTAPI},
            "fastapi", "api", "uvicorn main:app --host 0.0.0.0 --port 8000", 8000,
        ),
        (
            {"requirements.txt": "fastapi\n", "app/main.py": "from app.db import x\n" + FASTAPI, "app/db.py": ""},
            "fastapi", "api", "uvicorn app.main:app --host 0.0.0.0 --port 8000", 8000,
        ),
        (
            {"requirements.txt": "fastapi\n", "app/main.py": "from db import x\n" + FASTAPI, "app/db.py": ""},
            "fastapi", "api", "uvicorn --app-dir app main:app --host 0.0.0.0 --port 8000", 8000,
        ),
        (
            {"pyproject.toml": "[project]\n", "src/shop/__init__.py": "", "src/shop/web.py": FASTAPI},
            "fastapi", "api", "uvicorn --app-dir src shop.web:app --host 0.0.0.0 --port 8000", 8000,
        ),
        (
            {"requirements.txt": "fastapi\n", "main.py": "import fastapi as f\ndef make():\n  return f.FastAPI()\n"},
            "fastapi", "api", "uvicorn --factory main:make --host 0.0.0.0 --port 8000", 8000,
        ),
        (
            {
                "requirements.txt": "flask\n",
                "shop/__init__.py": "import flask\ndef create_app():\n  a = flask.Flask('a')\n  return a\n",
                "wsgi.py": "from shop import create_app\napplication = create_app()\n",
            },
            "flask", "api", "gunicorn --bind 0.0.0.0:8000 wsgi:application", 8000,
        ),
        (
            {"requirements.txt": "flask\n", "app.py": "from flask import render_template\n" + FLASK},
            "flask", "web", "gunicorn --bind 0.0.0.0:8000 app:app", 8000,
        ),
        (
            {"requirements.txt": "flask\n", "app.py": FLASK + "if __name__ == '__main__':\n    app.run(port=8055)\n"},
            "flask", "api", "gunicorn --bind 0.0.0.0:8055 app:app", 8055,
        ),
        (
            {"requirements.txt": "starlette\n", "app.py": "import starlette.applications as s\na = s.Starlette()\n"},
            "starlette", "api", "uvicorn app:a --host 0.0.0.0 --port 8000", 8000,
        ),
        (
            {"requirements.txt": "streamlit\n", "app.py": "import streamlit as st\nst.title('x')\n"},
            "streamlit", "web",
            "streamlit run app.py --server.address 0.0.0.0 --server.port 8501 --server.headless true", 8501,
        ),
        (
            {"requirements.txt": "gradio\n", "app.py": "import gradio as g\nd = g.Interface(str)\nd.launch()\n"},
            "gradio", "web", "python app.py", 7860,
        ),
        (
            {"requirements.txt": "dash\n", "app.py": "import dash\napp = dash.Dash()\n"},
            "dash", "web", "gunicorn --bind 0.0.0.0:8050 app:app.server", 8050,
        ),
        (
            {"requirements.txt": "aiohttp\n", "app.py": "from aiohttp import web\nweb.run_app(a(), port=8090)\n"},
            None, "api", "python app.py", 8090,
        ),
        (
            {"server.py": "from http.server import HTTPServer as S\nS(('', 8070), H).serve_forever()\n"},
            None, "api", "python server.py", 8070,
        ),
        ({"requirements.txt": "celery\n", "tasks.py": "from celery import Celery\napp = Celery('t')\n"},
         "celery", "worker", "celery -A tasks worker --loglevel INFO", None),
        ({"requirements.txt": "dramatiq\n", "tasks.py": "import dramatiq\n@dramatiq.actor\ndef a(): pass\n"},
         "dramatiq", "worker", "dramatiq tasks", None),
        ({"requirements.txt": "rq\nredis\n", "jobs.py": "from rq import Queue\nq = Queue('mail', connection=c)\n"},
         "rq", "worker", "rq worker --url $REDIS_URL mail", None),
        ({"bot.py": "while True:\n    pass\n"}, None, "worker", "python bot.py", None),
        ({"main.py": "print('done')\n"}, None, "job", "python main.py", None),
        ({"shop/__main__.py": "from . import x\n", "requirements.txt": ""}, None, "job", "python -m shop", None),
    ],
)  # fmt: skip
def test_what_runs(files: dict[str, str], framework: str | None, kind: str, start: str, opened: int | None) -> None:
    profile = found(P, files)
    assert profile.runnable
    assert (profile.framework, profile.kind, profile.start_command) == (framework, kind, start)
    assert port(profile) == opened


def test_an_application_whose_factory_is_told_something() -> None:
    files = {
        "requirements.txt": "-r requirements/web.txt\n",
        "requirements/web.txt": "flask\n",
        "shop.py": "from app import create_app\napp = create_app('production')\n",
        "app/__init__.py": "from flask import Flask\ndef create_app(name):\n    app = Flask(name)\n    return app\n",
    }
    profile = found(P, files)
    assert (profile.framework, profile.start_command) == ("flask", "gunicorn --bind 0.0.0.0:8000 shop:app")


def django(settings: str = "", **more: str) -> dict[str, str]:
    return {
        "requirements.txt": "Django>=5\n",
        "manage.py": "import os\n\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
        "shop/wsgi.py": "",
        "shop/settings.py": settings,
        **more,
    }


def test_django_migrates_and_then_serves() -> None:
    profile = found(P, django())
    assert profile.framework == "django"
    assert profile.start_command == (
        "python manage.py migrate --noinput && gunicorn --bind 0.0.0.0:8000 shop.wsgi:application"
    )
    assert "&& exec gunicorn" in (profile.recipe or "")
    assert clue(profile, "framework") == ("django", "manage.py", 3)


def test_django_collects_static_files_where_it_has_a_folder_for_them() -> None:
    profile = found(P, django("STATIC_ROOT = 'x'\n"))
    assert (profile.start_command or "").startswith("python manage.py collectstatic --noinput && ")


def test_django_in_a_folder_and_with_channels() -> None:
    files = {f"backend/{name}": text for name, text in django(**{"shop/asgi.py": ""}).items()}
    files["requirements.txt"] = "django\nchannels\n"
    del files["backend/requirements.txt"]
    start = found(P, files).start_command or ""
    assert start.startswith("cd backend && ")
    assert start.endswith("uvicorn --host 0.0.0.0 --port 8000 shop.asgi:application")


def test_a_worker_beside_the_server() -> None:
    files = {
        "requirements.txt": "fastapi\ncelery[redis]\n",
        "main.py": FASTAPI,
        "jobs.py": "from celery import Celery\nqueue = Celery('x')\nqueue.conf.beat_schedule = {}\n",
    }
    profile = found(P, files)
    assert [worker.start_command for worker in profile.workers] == [
        "celery -A jobs:queue worker --loglevel INFO",
        "celery -A jobs:queue beat --loglevel INFO --schedule /tmp/celerybeat-schedule",
    ]
    assert {worker.kind for worker in profile.workers} == {"worker"}
    assert all(worker.ports == () and worker.recipe for worker in profile.workers)
    assert {"celery", "celery[redis]"} <= profile.dependencies


READS = """
import os
from os import environ, getenv as g
import environ as e
from decouple import config
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic import Field

A = os.environ["REQUIRED"]
B = environ.get("OPTIONAL")
C = g("DEFAULTED", "some text")
D = config("DECOUPLED")
E = config("DECOUPLED_DEFAULT", default=3)
env = e.Env(DEBUG=(bool, False))
F = env("ENVIRON")
G = env.db()
H = env.int("ENVIRON_INT", default=4)
os.environ["WRITTEN"] = "1"
I = os.environ[name] + os.environ["PATH"]
J = "PRESENT" in os.environ

class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SHOP_")
    url: str
    size: int = 5
    alias: str = Field(validation_alias="OTHER")
    listed: list[str] = Field(default_factory=list)

class More(Settings):
    extra: str | None = None
"""


def test_settings_that_the_code_reads() -> None:
    profile = found(P, {"requirements.txt": "", "main.py": READS})
    assert required(profile) == {"REQUIRED", "DECOUPLED", "ENVIRON", "DATABASE_URL", "SHOP_URL", "OTHER"}
    assert optional(profile) == {
        "OPTIONAL", "DEFAULTED", "DECOUPLED_DEFAULT", "DEBUG", "ENVIRON_INT", "PRESENT", "SHOP_SIZE", "SHOP_LISTED",
        "EXTRA",
    }  # fmt: skip
    assert clue(profile, "env.DEFAULTED") == ("some text", "main.py", 11)
    assert clue(profile, "env.SHOP_SIZE") == ("5", "main.py", 25)


def test_only_what_the_started_program_imports_counts() -> None:
    files = {
        "requirements.txt": "flask\n",
        "web.py": "import store\n" + FLASK,
        "store.py": "import settings_\n",
        "settings_.py": "import os\nURL = os.environ['REDIS_URL']\n",
        "worker.py": "import os, time\nQ = os.environ['QUEUE']\nwhile True:\n    time.sleep(1)\n",
    }
    assert required(found(P, files)) == {"REDIS_URL"}
    worker = found(P, files, start="python worker.py")
    assert (worker.kind, worker.framework, worker.ports) == ("worker", None, ())
    assert required(worker) == {"QUEUE"}
    web = found(P, files, start="gunicorn web:app --bind 0.0.0.0:$PORT")
    assert required(web) == {"REDIS_URL"}
    assert given(web) == {"PORT": "8000"}


@pytest.mark.parametrize(
    ("start", "kind", "opened"),
    [
        ("uvicorn main:app --host 0.0.0.0 --port 9001", "api", 9001),
        ("gunicorn -b :9002 main:app", "api", 9002),
        ("gunicorn main:app", "api", 8000),
        ("exec uvicorn main:app --port=${PORT:-9003}", "api", 9003),
        ("celery -A main worker", "worker", None),
        ("alembic upgrade head", "job", None),
        ("python other.py", "job", None),
        ("python -m other", "job", None),
    ],
)
def test_a_declared_command_decides(start: str, kind: str, opened: int | None) -> None:
    files = {"requirements.txt": "fastapi\n", "main.py": FASTAPI, "other.py": "print(1)\n"}
    profile = found(P, files, start=start)
    assert (profile.kind, profile.start_command, port(profile)) == (kind, start, opened)


def test_a_path_of_the_image_means_the_file_of_the_tree() -> None:
    files = {"requirements.txt": "", "serve.py": "import os\nfrom http.server import HTTPServer\n"
             "HTTPServer(('', int(os.environ.get('PORT', '8066'))), None).serve_forever()\n"}  # fmt: skip
    profile = found(P, files, start="python /usr/src/app/serve.py")
    assert (port(profile), given(profile)) == (8066, {"PORT": "8066"})


@pytest.mark.parametrize(
    ("code", "opened"),
    [
        ("uvicorn.run(app, port=8011)", 8011),
        ("uvicorn.run(app, port=int(os.environ.get('PORT', 8012)))", 8012),
        ("uvicorn.run(app, port=int(os.getenv('PORT') or 8013))", 8013),
        ("PORT = 8014\nuvicorn.run(app, port=PORT)", 8014),
        ("p.add_argument('--port', default=8015)\nuvicorn.run(app, port=p.parse_args().port)", 8015),
        ("class S(ps.BaseSettings):\n    port: int = 8016\ns = S()\nuvicorn.run(app, port=s.port)", 8016),
        ("uvicorn.run(app)", 8000),
        ("uvicorn.run(app, port=unknown())", 8000),
        ("uvicorn.run(app, port=99999999999)", 8000),
    ],
)  # fmt: skip
def test_ports_in_code(code: str, opened: int) -> None:
    head = "import os, uvicorn, pydantic_settings as ps\n" + FASTAPI
    assert port(found(P, {"requirements.txt": "fastapi\n", "main.py": head + code + "\n"})) == opened


def test_a_server_on_loopback_is_pointed_out() -> None:
    profile = found(P, {"requirements.txt": "flask\n", "app.py": FLASK + "app.run()\n"}, start="python app.py")
    assert codes(profile) == ["loopback"]
    assert profile.warnings[0].line == 3


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("@app.get('/health')\ndef h(): ...\n", "/health"),
        ("@app.get('/other')\ndef h(): ...\n", None),
        ("@app.get('/ping')\ndef p(): ...\n@app.get('/readyz')\ndef r(): ...\n", "/readyz"),
        ("r = APIRouter(prefix='/api')\n@r.get('/health')\ndef h(): ...\napp.include_router(r)\n", "/api/health"),
        ("r = APIRouter()\n@r.get('/health')\ndef h(): ...\napp.include_router(r, prefix='/deep')\n", None),
        ("app.add_api_route('/healthz', h)\n", "/healthz"),
    ],
)
def test_health_routes(code: str, path: str | None) -> None:
    profile = found(P, {"requirements.txt": "fastapi\n", "main.py": FASTAPI + code})
    assert (profile.health.path if profile.health else None) == path


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"requirements.txt": "Flask==3 ; python_version > '3'\n# no\n\nAio_Pika\n"}, {"flask", "aio-pika"}),
        ({"requirements.txt": "-r b.txt\n", "b.txt": "redis\n-r ../../x.txt\n-r requirements.txt\n"}, {"redis"}),
        ({"requirements.txt": "git+https://h/x.git#egg=My.Pkg\nb @ https://h/y.whl\n-e .\n./c\n"}, {"my-pkg", "b"}),
        ({"requirements/prod.txt": "-r base.txt\n", "requirements/base.txt": "pika\n", "setup.py": ""}, {"pika"}),
        ({"pyproject.toml": "[project]\ndependencies = ['a>=1', 'b[x]']\n"}, {"a", "b", "b[x]"}),
        ({"pyproject.toml": "[tool.poetry.dependencies]\npython = '^3.11'\nPyMongo = '*'\n"}, {"pymongo"}),
        ({"Pipfile": "[packages]\nRedis = '*'\npika = {version = '>=1'}\n"}, {"redis", "pika"}),
        ({"setup.cfg": "[options]\ninstall_requires =\n    aio-pika\n"}, {"aio-pika"}),
        ({"setup.py": "from setuptools import setup\nsetup(install_requires=['motor>=3'])\n"}, {"motor"}),
    ],
)  # fmt: skip
def test_dependencies(files: dict[str, str], names: set[str]) -> None:
    assert found(P, {**files, "main.py": "print(1)\n"}).dependencies == names


def test_without_a_manifest_the_imports_say_what_is_needed() -> None:
    profile = found(P, {"app.py": "import yaml, json, mine\n" + FLASK, "mine.py": ""})
    assert profile.dependencies == {"flask", "pyyaml"}
    assert codes(profile) == ["no-manifest"]
    assert '"pip", "install", "flask", "pyyaml"' in (profile.recipe or "")


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({}, "3.12"),
        ({".python-version": "3.11.4\n"}, "3.11"),
        ({"runtime.txt": "python-3.10.2"}, "3.10"),
        ({"pyproject.toml": "[project]\nrequires-python = '>=3.13'\n"}, "3.13"),
        ({"pyproject.toml": "[project]\nrequires-python = '>=3.8'\n"}, "3.12"),
        ({"pyproject.toml": "[project]\nrequires-python = '<3.11'\n"}, "3.10"),
        ({"pyproject.toml": "[project]\nrequires-python = 'nonsense'\n"}, "3.12"),
        ({"pyproject.toml": "[tool.poetry.dependencies]\npython = '^3.11'\n"}, "3.12"),
        ({"Pipfile": "[requires]\npython_version = '3.11'\n"}, "3.11"),
        ({".python-version": "3.4\n"}, "3.9"),
    ],
)
def test_versions(files: dict[str, str], version: str) -> None:
    profile = found(P, {"main.py": "print(1)\n", **files})
    assert (profile.recipe or "").startswith(f"FROM python:{version}-slim AS build\n")


def test_a_version_that_there_is_no_image_of_is_pointed_out() -> None:
    assert codes(found(P, {"main.py": "print(1)\n", "requirements.txt": "", ".python-version": "3.7"})) == ["version"]


def test_a_library_is_known_and_does_not_run() -> None:
    files = {"pyproject.toml": "[project]\ndependencies = ['redis']\n", "shop/__init__.py": "x = 1\n"}
    profile = found(P, files)
    assert (profile.runnable, profile.recipe, profile.dependencies) == (False, None, {"redis"})


def test_folders_with_a_manifest_of_their_own_are_other_programs() -> None:
    files = {"requirements.txt": "", "api/requirements.txt": "fastapi", "api/main.py": FASTAPI, "lib.py": "x = 1\n"}
    assert not found(P, files).runnable
    assert found(P, files, "api").start_command == "uvicorn main:app --host 0.0.0.0 --port 8000"
    assert found(P, files, "api").context == "api"


def test_the_recipe_adds_what_the_start_command_needs() -> None:
    files = {"requirements.txt": "fastapi\n", "main.py": FASTAPI}
    recipe = found(P, files).recipe or ""
    assert 'RUN ["pip", "install", "uvicorn[standard]"]' in recipe
    assert "uvicorn[standard]" not in (found(P, {**files, "requirements.txt": "fastapi\nuvicorn\n"}).recipe or "")


@pytest.mark.parametrize(
    ("files", "step"),
    [
        ({"pyproject.toml": "[project]\n", "uv.lock": ""}, '"uv", "sync", "--frozen"'),
        ({"pyproject.toml": "[tool.poetry]\n", "poetry.lock": ""}, '"poetry", "install", "--only", "main"'),
        ({"pyproject.toml": "[project]\n", "pdm.lock": ""}, '"pdm", "export", "--prod"'),
        ({"Pipfile": "[packages]\n", "Pipfile.lock": "{}"}, "pipenv requirements --hash"),
        ({"requirements.txt": "x\n"}, '"pip", "install", "--requirement", "requirements.txt"'),
        ({"pyproject.toml": "[project]\ndependencies = ['x>1']\n"}, '"pip", "install", "x>1"'),
    ],
)
def test_the_package_manager_and_its_lock_are_honoured(files: dict[str, str], step: str) -> None:
    recipe = found(P, {"main.py": "print(1)\n", **files}).recipe or ""
    assert step in recipe
    assert recipe.index(step) < recipe.index("COPY --chown=10001:10001 . .")


def test_packages_that_need_the_distribution() -> None:
    recipe = found(P, {"requirements.txt": "psycopg2\n", "main.py": "print(1)\n"}).recipe or ""
    build, run = recipe.split("\n\n")
    assert "libpq-dev" in build
    assert "libpq5" in run
    assert "libpq-dev" not in run


def test_models_need_memory() -> None:
    small = found(P, {"requirements.txt": "", "main.py": "print(1)\n"}).resources
    large = found(P, {"requirements.txt": "torch\n", "main.py": "print(1)\n"}).resources
    assert small
    assert large
    assert large.memory_bytes > 4 * small.memory_bytes
