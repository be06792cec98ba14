from pathlib import Path
from typing import Any

import pytest

from iarnet.config import Settings
from iarnet.config_sections import DockerSettings
from iarnet.errors import Missing
from workers.mode import detect, looks_for_docker, settled

POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


@pytest.mark.parametrize(
    ("mode", "environ", "service_account", "found"),
    [
        ("", {}, False, "standalone"),
        ("", POD, True, "k8s"),
        ("", POD, False, "standalone"),
        ("", {}, True, "standalone"),
        ("", {"KUBERNETES_SERVICE_HOST": ""}, True, "standalone"),
        ("standalone", POD, True, "standalone"),
        ("k8s", {}, False, "k8s"),
    ],
)
def test_what_is_set_counts_and_else_what_is_there(
    mode: Any, environ: dict[str, str], service_account: bool, found: str
) -> None:
    assert detect(mode, environ, service_account=service_account) == found


def test_a_mode_that_can_not_be_had_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no Kubernetes provider") as refused:
        settled(Settings(data_dir=tmp_path, mode="k8s"), POD)
    assert refused.value.where == "mode"
    assert "providers add" in refused.value.hint


def test_a_settled_mode_is_never_empty(tmp_path: Path) -> None:
    assert settled(Settings(data_dir=tmp_path), {}).mode == "standalone"


@pytest.mark.parametrize(
    ("mode", "host", "looks"),
    [
        ("standalone", "", True),
        ("standalone", "none", False),
        ("standalone", "unix:///x.sock", True),
        ("k8s", "", False),
        ("k8s", "none", False),
        ("k8s", "tcp://127.0.0.1:2375", True),
    ],
)
def test_in_a_cluster_only_an_engine_that_was_named_is_used(
    tmp_path: Path, mode: Any, host: str, looks: bool
) -> None:
    settings = Settings(data_dir=tmp_path, mode=mode, docker=DockerSettings(host=host))
    assert looks_for_docker(settings) == looks
