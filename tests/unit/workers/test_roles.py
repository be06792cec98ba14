"""A side of a node is refused where it would be alone."""

from pathlib import Path

import pytest

from iarnet.config import Settings
from iarnet.config_sections import DockerSettings, Temporal
from iarnet.errors import InvalidConfig
from workers import mode, roles
from workers.roles import Role

SHARED = "postgresql://iarnet@db/iarnet"


def settings(tmp_path: Path, *, address: str = "temporal:7233", database: str = SHARED, docker: str = "") -> Settings:
    return Settings(
        data_dir=tmp_path,
        node_name="box",
        database_url=database,
        temporal=Temporal(address=address),
        docker=DockerSettings(host=docker),
    )


@pytest.mark.parametrize("role", ["api", "worker"])
def test_alone_it_is_refused(role: Role, tmp_path: Path) -> None:
    for lonely, where in (
        (settings(tmp_path, address=""), "temporal.address"),
        (settings(tmp_path, database="sqlite:////tmp/x.db"), "database_url"),
    ):
        with pytest.raises(InvalidConfig) as refused:
            roles.settled(lonely, role)
        assert refused.value.where == where
        assert where in refused.value.hint


def test_a_whole_node_may_be_alone(tmp_path: Path) -> None:
    lonely = settings(tmp_path, address="", database=f"sqlite:///{tmp_path}/x.db")
    assert roles.settled(lonely, "node") == lonely
    assert mode.local_provider(lonely) == "local-docker"


def test_an_api_takes_no_engine_that_it_is_not_told_of(tmp_path: Path) -> None:
    assert roles.settled(settings(tmp_path), "api").docker.host == "none"
    told = roles.settled(settings(tmp_path, docker="unix:///run/docker.sock"), "api")
    assert (told.docker.host, told.gateway.enabled) == ("unix:///run/docker.sock", False)


def test_where_the_store_is_shared_each_engine_has_a_name_of_its_own(tmp_path: Path) -> None:
    assert mode.local_provider(settings(tmp_path)) == "docker-box"
