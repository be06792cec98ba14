from pathlib import Path

import pytest

from iarnet.config import Settings, keys, load_settings, masked, node_name, value_of
from iarnet.errors import InvalidConfig
from iarnet.models.resources import Resources

HOME = {"HOME": "/home/ann"}


@pytest.fixture
def load(tmp_path):
    def from_text(text: str = "", environ: dict | None = None, **flags):
        file = tmp_path / "config.yaml"
        file.write_text(text)
        return load_settings(file, HOME | (environ or {}), flags)

    return from_text


@pytest.mark.parametrize(
    ("text", "line", "says", "hint"),
    [
        ("mode: x\nlissen_addr: ':1'", 2, "unknown key `lissen_addr`", "`listen_addr`"),
        ("logging:\n  rotation:\n    maxsize: 1", 3, "`logging.rotation.maxsize`", "`logging.rotation.maxSize`"),
        ("max_bytes: 1", 1, "unknown key `max_bytes`", "`git.max_bytes`"),
        ("resource_limits:\n  memory_bytes: 1", 2, "unknown key", "`resource_limits.memory`"),
        ("zzz: 1", 1, "unknown key `zzz`", "`iarnet config` lists"),
        ("mode: a\nmode: b", 2, "`mode` is there twice", ":1"),
        ("mode: swarm", 1, "must be '', 'standalone' or 'k8s', not \"swarm\"", ""),
        ("listen_addr: '8083'", 1, "must look like :8083", ""),
        ("listen_addr: ':99999'", 1, "must look like", ""),
        ("\nlisten_addr: 8083", 2, "put it in quotes, not 8083", ""),
        ("initial_peers: a:1", 1, "must be a list", ""),
        ("initial_peers: [':1']", 1, "must name a host", ""),
        ("resource_limits: 4", 1, "`resource_limits` must be a section, not a single value", ""),
        ("resource_limits: [4]", 1, "must be a section, not a list", ""),
        ("resource_limits:\n  cpu: -1", 2, "`resource_limits.cpu` must be a number such as 8", ""),
        ("resource_limits:\n  memory: lots", 2, "must be a size such as 16Gi", ""),
        ("- a", 1, "must be keys and values, not a list", ""),
        ("mode: [", 1, "not valid YAML", ""),
        ("mode: !!python/object:os.system x", 1, "not valid YAML", ""),
        ("docker:\n  network_pool: 10.0.0.0/25", 2, "a /24 or larger", ""),
        ("docker:\n  publish_ports: 30000-20000", 2, "must be a range", ""),
        ("docker: {publish_address: here}", 1, "must be an IP address", ""),
        ("gateway:\n  acme:\n    directory: http://ca", 3, "must be an address that begins with https://", ""),
        ("git:\n\n  timeout_s: 0", 3, "must be greater than 0, not 0", ""),
        ("insecure_listen: maybe", 1, "must be a valid boolean", ""),
        ("builds:\n  args: {A: 1}", 2, "`builds.args.A` must be a valid string: put it in quotes", ""),
        ("builds:\n  args: [A]", 2, "must be a section of names and values", ""),
        ("tls:\n  enabled: true", 2, "needs cert_file and key_file", ""),
        ("node_name: My_Node", 1, "`node_name`", ""),
        ("database_url: mysql://u:pw@h/x", 1, "must begin with sqlite://", ""),
    ],
)
def test_a_wrong_file_is_refused_with_key_line_and_what_is_allowed(load, tmp_path, text, line, says, hint):
    with pytest.raises(InvalidConfig) as refusal:
        load(text)
    assert says in refusal.value.message
    assert refusal.value.where == f"{tmp_path / 'config.yaml'}:{line}"
    assert hint in refusal.value.hint


def test_all_bad_values_are_told_at_once(load):
    with pytest.raises(InvalidConfig) as refusal:
        load("mode: x\ngit: {max_files: 0}")
    assert "`mode`" in refusal.value.message
    assert "`git.max_files`" in refusal.value.message
    assert refusal.value.message.count("\n") == 1


def test_a_refusal_shows_no_password(load):
    with pytest.raises(InvalidConfig) as refusal:
        load("database_url: mysql://ann:hunter2@h/x")
    assert "hunter2" not in str(refusal.value.details())


@pytest.mark.parametrize(
    ("name", "text", "says", "hint"),
    [
        ("IARNET_LOGGING_LEVEL", "info", "unknown key `IARNET_LOGGING_LEVEL`", "`IARNET_LOGGING__LEVEL`"),
        ("IARNET_CPUS_LIMIT", "1", "unknown key", "`IARNET_CPU_LIMIT`"),
        ("IARNET_MODE", "swarm", "must be ''", ""),
        ("IARNET_CPU_LIMIT", "many", "`resource_limits.cpu` must be a number", ""),
        ("IARNET_BUILDS__ARGS", "A", "`A` has no value", "NAME=value"),
        ("IARNET_BUILDS__ARGS", "{", "not valid JSON", ""),
        ("IARNET_BUILDS__ARGS__A__B", "x", "unknown key", ""),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(load, name, text, says, hint):
    with pytest.raises(InvalidConfig) as refusal:
        load(environ={name: text})
    assert says in refusal.value.message
    assert refusal.value.where == name
    assert hint in refusal.value.hint


def test_an_unknown_flag_a_missing_file_and_a_folder_are_refused(load, tmp_path):
    with pytest.raises(InvalidConfig, match="unknown key `listn_addr`"):
        load(listn_addr=":1")
    with pytest.raises(InvalidConfig, match="no such configuration file"):
        load_settings(tmp_path / "none.yaml", HOME, {})
    with pytest.raises(InvalidConfig, match="can't be read"):
        load_settings(tmp_path, HOME, {})
    (tmp_path / "latin.yaml").write_bytes(b"mode: \xff")
    with pytest.raises(InvalidConfig, match="can't be read"):
        load_settings(tmp_path / "latin.yaml", HOME, {})


def test_flags_win_over_variables_over_the_file_over_defaults(load, tmp_path):
    text = "listen_addr: ':1'\npeer_listen_addr: ':2'\ngit:\n  max_files: 3\n"
    loaded = load(text, {"IARNET_LISTEN_ADDR": ":11", "IARNET_PEER_LISTEN_ADDR": ":12"}, listen_addr=":21", mode=None)
    settings, origins = loaded.settings, loaded.origins
    assert (settings.listen_addr, settings.peer_listen_addr, settings.git.max_files) == (":21", ":12", 3)
    assert str(origins["listen_addr"]) == "--listen-addr"
    assert str(origins["peer_listen_addr"]) == "IARNET_PEER_LISTEN_ADDR"
    assert str(origins["git.max_files"]) == f"{tmp_path / 'config.yaml'}:4"
    assert origins["mode"].source == "default"
    assert list(origins) == list(keys())


def test_the_documented_file_and_variables(load):
    text = """
mode: ""
listen_addr: ":8083"
peer_listen_addr: ":50051"
initial_peers: ["peer2.example.com:50051", "peer3.example.com:50051"]
resource_limits:
  cpu: "8"
  memory: "16Gi"
  gpu: "4"
workspace_dir: "../workspaces"
logging:
  level: info
  format: json
  output: stdout
  rotation:
    maxSize: 100MB
    maxAge: 30
    maxBackups: 10
    compress: true
"""
    environ = {
        "IARNET_MODE": "standalone",
        "IARNET_LISTEN_ADDR": ":8080",
        "IARNET_PEER_LISTEN_ADDR": ":50052",
        "IARNET_CPU_LIMIT": "16",
        "IARNET_MEMORY_LIMIT": "32Gi",
        "IARNET_GPU_LIMIT": "8",
        "IARNET_WORKSPACE_DIR": "/var/lib/iarnet/workspaces",
    }
    plain, varied = load(text).settings, load(text, environ).settings
    assert plain.resource_limits.model_dump(exclude_none=True, by_alias=False) == {
        "cpu_millis": 8000,
        "memory_bytes": 16 * 1024**3,
        "gpu_millis": 4000,
    }
    assert plain.logging.rotation.max_size_bytes == 100_000_000
    assert plain.initial_peers == ("peer2.example.com:50051", "peer3.example.com:50051")
    assert varied.mode == "standalone"
    assert varied.resource_limits.cpu_millis == 16000
    assert varied.resource_limits.memory_bytes == 32 * 1024**3
    assert varied.workspace_dir == Path("/var/lib/iarnet/workspaces")


def test_relative_paths_in_a_file_are_relative_to_it(load, tmp_path):
    assert load("workspace_dir: ../workspaces").settings.workspace_dir == tmp_path.parent / "workspaces"
    assert load("data_dir: data").settings.workspace_dir == tmp_path / "data" / "workspaces"
    assert load(environ={"IARNET_DATA_DIR": "data"}).settings.data_dir == Path.cwd() / "data"


def test_numbers_in_yaml_are_cores_lists_and_mappings_come_from_variables_too(load):
    assert load("resource_limits: {cpu: 8, gpu: 0.5}").settings.resource_limits.cpu_millis == 8000
    environ = {
        "IARNET_INITIAL_PEERS": "a:1, b:2",
        "IARNET_ALLOWED_HOSTS": '["x.example"]',
        "IARNET_BUILDS__ARGS": "A=1,B=2",
        "IARNET_BUILDS__ARGS__Case": "kept",
        "IARNET_LOGGING__ROTATION__MAX_SIZE": "1Mi",
        "IARNET_GIT__ALLOW_FILE": "true",
    }
    settings = load(environ=environ).settings
    assert settings.initial_peers == ("a:1", "b:2")
    assert settings.allowed_hosts == ("x.example",)
    assert settings.builds.args == {"A": "1", "B": "2", "Case": "kept"}
    assert settings.logging.rotation.max_size_bytes == 1024**2
    assert settings.git.allow_file is True


def test_variables_that_are_no_settings_are_left_alone(load):
    links = {
        "IARNET_PORT": "tcp://10.0.0.1:8083",
        "IARNET_SERVICE_HOST": "10.0.0.1",
        "IARNET_SERVICE_PORT_HTTP": "8083",
        "IARNET_PORT_8083_TCP_ADDR": "10.0.0.1",
        "IARNET_TOKEN": "t",
        "IARNET_SERVER": "s",
        "IARNET_MODE": "",
    }
    assert load("mode: k8s", links).settings.mode == "k8s"


def test_an_empty_section_and_a_key_without_value_mean_the_default(load):
    settings = load("temporal:\nlisten_addr:\n# nothing\n").settings
    assert (settings.listen_addr, settings.temporal.namespace) == (":8083", "iarnet")


def test_an_address_without_host_is_loopback_until_tls_or_insecure_listen(load, tmp_path):
    assert str(load().settings.api_address) == "127.0.0.1:8083"
    assert str(load("listen_addr: '10.1.2.3:1'").settings.api_address) == "10.1.2.3:1"
    assert str(load("listen_addr: '[::1]:1'").settings.api_address) == "[::1]:1"
    assert str(load("insecure_listen: true").settings.peer_address) == "0.0.0.0:50051"
    assert str(load("tls: {enabled: true, cert_file: c, key_file: k}").settings.api_address) == "0.0.0.0:8083"


def test_grpc_has_the_tls_of_the_api_unless_it_has_its_own(load, tmp_path):
    shared = load("tls: {enabled: true, cert_file: c, key_file: k}").settings
    assert (shared.grpc_tls.cert_file, str(shared.peer_address)) == (tmp_path / "c", "0.0.0.0:50051")
    own = load("grpc: {tls: {enabled: true, cert_file: d, key_file: l}}").settings
    assert (own.grpc_tls.cert_file, str(own.peer_address)) == (tmp_path / "d", "0.0.0.0:50051")
    assert (own.tls.enabled, str(own.api_address)) == (False, "127.0.0.1:8083")
    assert load("peer_listen_addr: none").settings.peer_address is None
    with pytest.raises(InvalidConfig, match=r"grpc.tls"):
        load("grpc: {tls: {enabled: true}}")


@pytest.mark.parametrize("text", ["address: nowhere", "address: ':70'", "timeout_s: 91", "timeout_s: 0"])
def test_what_an_analyser_elsewhere_may_be(load, text):
    with pytest.raises(InvalidConfig, match="analysis"):
        load(f"analysis: {{{text}}}")


def test_the_token_of_an_analyser_travels_sealed_or_stays_on_this_machine(load):
    assert load("analysis: {address: '127.0.0.1:7', token_file: t}").settings.analysis.token_file
    assert load("analysis: {address: 'a:7', token_file: t, tls: {enabled: true}}").settings.analysis.token_file
    with pytest.raises(InvalidConfig, match="must not travel in clear"):
        load("analysis: {address: 'a:7', token_file: t}")


def test_the_file_is_found_beside_the_caller_then_in_the_data_directory(tmp_path):
    here, data = tmp_path / "here", tmp_path / "data"
    for folder in (here, data):
        folder.mkdir()
    environ = HOME | {"IARNET_DATA_DIR": str(data)}
    assert load_settings(None, environ, {}, cwd=here).settings.mode == ""
    (data / "config.yaml").write_text("mode: k8s")
    assert load_settings(None, environ, {}, cwd=here).settings.mode == "k8s"
    (here / "config.yaml").write_text("mode: standalone")
    assert load_settings(None, environ, {}, cwd=here).settings.mode == "standalone"


def test_a_data_directory_is_all_that_settings_need(tmp_path):
    settings = Settings(data_dir=tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path}/iarnet.db"
    assert settings.secrets.key_file == tmp_path / "secrets.key"
    assert settings.system_reserve.resources() == Resources(
        cpu_millis=250, memory_bytes=512 * 1024**2, storage_bytes=2 * 1024**3
    )
    assert settings.docker.port_range == range(20000, 30000)
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


def test_xdg_decides_the_data_directory(tmp_path):
    assert load_settings(None, HOME, {}, cwd=tmp_path).settings.data_dir == Path("/home/ann/.local/share/iarnet")
    loaded = load_settings(None, {"XDG_DATA_HOME": "/x"}, {}, cwd=tmp_path)
    assert loaded.settings.data_dir == Path("/x/iarnet")


def test_docker_host_is_understood_but_weaker_than_the_file(load):
    environ = {"DOCKER_HOST": "unix:///rootless.sock"}
    loaded = load(environ=environ)
    assert loaded.settings.docker.host == "unix:///rootless.sock"
    assert str(loaded.origins["docker.host"]) == "DOCKER_HOST"
    assert load("docker: {host: none}", environ).settings.docker.host == "none"


def test_limits_cap_each_resource_for_itself(load):
    total = Resources(cpu_millis=4000, memory_bytes=100, gpu_millis=0)
    limits = load("resource_limits: {cpu: 2, memory: 1Gi}").settings.resource_limits
    assert limits.cap(total) == Resources(cpu_millis=2000, memory_bytes=100)


def test_written_values_can_be_put_into_a_file(load):
    settings = load("resource_limits: {cpu: 500m, memory: 1.5Gi}").settings
    written = {key: value_of(settings, key) for key in keys()}
    assert written["resource_limits.cpu"] == "0.5"
    assert written["resource_limits.memory"] == "1.5Gi"
    assert written["logging.rotation.maxSize"] == "100M"


def test_secrets_are_masked():
    assert masked("postgresql://ann:hunter2@db/x") == "postgresql://ann:***@db/x"
    assert masked({"NPM_TOKEN": "x", "DEBUG": "1"}) == {"NPM_TOKEN": "***", "DEBUG": "1"}
    assert masked("http://proxy:3128") == "http://proxy:3128"


@pytest.mark.parametrize(
    ("host", "name"), [("Ann's MacBook.local", "ann-s-macbook"), ("___", "node"), ("x" * 80, "x" * 40), ("", "node")]
)
def test_node_names(host, name):
    assert node_name(host) == name


def test_every_setting_is_documented():
    text = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text()
    rows = [f"| `{key}` |" for key in keys()]
    assert [row for row in rows if row not in text] == []
    described = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert [key for key in described if key not in keys() and not key.startswith("IARNET_")] == []
    assert all(f.description and f.description in text for f in keys().values())
