"""A member of a workspace is built from the workspace, as its neighbours are part of it."""

import pytest

from iarnet.analysis.ecosystems.go import Go
from iarnet.analysis.ecosystems.python import Python
from tests.unit.analysis.ecosystems.recognising import found

UV = {
    "pyproject.toml": "[project]\nname = 'all'\n[tool.uv.workspace]\nmembers = ['apps/*', 'libs/core']\n",
    "uv.lock": "version = 1\n",
    "apps/api/pyproject.toml": "[project]\nname = 'shop-api'\ndependencies = ['fastapi', 'core']\n",
    "apps/api/main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
    "libs/core/pyproject.toml": "[project]\nname = 'core'\n",
    "tools/x/pyproject.toml": "[project]\nname = 'x'\ndependencies = ['fastapi']\n",
    "tools/x/main.py": "from fastapi import FastAPI\napp = FastAPI()\n",
}
GO = {
    "go.work": "go 1.22\n\nuse (\n\t./api // serves\n\t./lib\n)\n",
    "api/go.mod": "module example.org/api\n\ngo 1.22\n",
    "api/main.go": 'package main\n\nimport "net/http"\n\nfunc main() {\n\thttp.ListenAndServe(":8081", nil)\n}\n',
    "lib/go.mod": "module example.org/lib\n\ngo 1.22\n",
    "other/go.mod": "module example.org/other\n\ngo 1.22\n",
    "other/main.go": "package main\n\nfunc main() {\n}\n",
}


def test_a_member_of_uvs_workspace() -> None:
    profile = found(Python(), UV, "apps/api")
    lines = (profile.recipe or "").splitlines()
    assert profile.context == "."
    sync = 'RUN ["uv", "sync", "--frozen", "--no-dev", "--inexact", "--no-editable", "--package", "shop-api"]'
    assert lines.index("COPY . .") < lines.index(sync)
    assert lines.index("COPY --chown=10001:10001 . .") < lines.index("WORKDIR /app/apps/api")


def test_what_the_workspace_does_not_name_is_built_alone() -> None:
    profile = found(Python(), UV, "tools/x")
    assert profile.context == "tools/x"
    assert '"uv"' not in (profile.recipe or "")


@pytest.mark.parametrize("work", [GO["go.work"], "go 1.22\nuse ./api\nuse ./lib\n"])
def test_a_module_of_gos_workspace(work: str) -> None:
    profile = found(Go(), {**GO, "go.work": work}, "api")
    lines = (profile.recipe or "").splitlines()
    assert profile.context == "."
    assert lines.index("WORKDIR /src/api") < lines.index("COPY . /src")
    assert not [line for line in lines if "download" in line or "-mod=mod" in line]


def test_a_module_that_the_workspace_does_not_use_is_built_alone() -> None:
    assert found(Go(), GO, "other").context == "other"
    assert found(Go(), {**GO, "go.work": "go 1.22\nuse ./api\n"}, "api").context == "api"
