import json
import subprocess

import pytest

COMPOSE = """
services:
  cache:
    image: redis:7
    depends_on: [db]
  db:
    image: postgres:16
"""


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "compose.yaml").write_text(COMPOSE)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=Ann", "-c", "user.email=ann@example.org", "commit", "-q", "-m", "first")
    return folder


def git(folder, *words):
    subprocess.run(["git", "-C", str(folder), *words], check=True)


def components(result):
    assert result.exit_code == 0, result.output
    return {c["id"]: c for c in json.loads(result.stdout)["components"]}


@pytest.mark.parametrize("what", ["./empty", "./shop/none"])
def test_nothing_to_run_and_no_folder_are_refused(call, tmp_path, monkeypatch, what):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    result = call("analyze", what, "--json")
    assert result.exit_code == 3
    assert "Traceback" not in result.output


def test_a_folder_in_git_is_taken_at_head_without_a_node(call, repository, tmp_path):
    (repository / "compose.yaml").write_text(COMPOSE.replace("db:", "database:"))
    nowhere = {"IARNET_DATA_DIR": str(tmp_path / "none")}
    assert sorted(components(call("analyze", str(repository), "--json", **nowhere))) == ["cache", "db"]
    changed = call("analyze", str(repository), "--json", "--work-tree", **nowhere)
    assert changed.exit_code == 3
    (repository / "compose.yaml").write_text(COMPOSE.replace("db", "database"))
    changed = call("analyze", str(repository), "--json", "--work-tree", **nowhere)
    assert sorted(components(changed)) == ["cache", "database"]


def test_a_folder_outside_git_and_one_inside_a_repository(call, repository, tmp_path):
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "compose.yaml").write_text(COMPOSE)
    assert sorted(components(call("analyze", str(plain), "--json"))) == ["cache", "db"]
    inner = repository / "inner"
    inner.mkdir()
    (inner / "compose.yaml").write_text("services: {only: {image: redis}}")
    git(repository, "add", ".")
    git(repository, "-c", "user.name=Ann", "-c", "user.email=ann@example.org", "commit", "-q", "-m", "second")
    assert list(components(call("analyze", str(inner), "--json"))) == ["only"]
    assert list(components(call("analyze", str(repository), "--subdir", "inner", "--json"))) == ["only"]


def test_people_see_components_and_on_demand_the_reasons(call, repository):
    shown = call("analyze", str(repository)).stdout
    assert all(word in shown for word in ("cache", "redis:7", "db", "postgres:16"))
    explained = call("analyze", str(repository), "--explain").stdout
    assert "compose.yaml:" in explained


def test_a_name_is_an_application_and_the_hint_says_how_to_mean_the_folder(call, tmp_path, monkeypatch):
    (tmp_path / "unknown").mkdir()
    monkeypatch.chdir(tmp_path)
    result = call("analyze", "unknown")
    assert result.exit_code == 4
    assert "write ./unknown" in result.stderr


def test_a_repository_elsewhere_is_looked_at_by_the_node(call):
    url = "https://example.org/shop.git"
    assert list(components(call("analyze", url, "--ref", "next", "--json"))) == ["next"]
    assert "main" in call("analyze", url).stdout
    missing = call("analyze", url, "--credential", "none")
    assert (missing.exit_code, "no secret" in missing.stderr) == (4, True)


def test_a_repository_elsewhere_is_looked_at_here_where_no_node_runs(call, repository, tmp_path):
    nowhere = {"IARNET_DATA_DIR": str(tmp_path / "none"), "IARNET_GIT__ALLOW_FILE": "true"}
    assert sorted(components(call("analyze", repository.as_uri(), "--json", **nowhere))) == ["cache", "db"]
    secretive = call("analyze", repository.as_uri(), "--credential", "mine", **nowhere)
    assert (secretive.exit_code, "no node runs here" in secretive.stderr) == (6, True)
