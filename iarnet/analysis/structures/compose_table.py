"""What becomes of each field that a compose file may have. `docs/compose.md` prints this table.

The fields of https://github.com/compose-spec/compose-spec/blob/main/05-services.md and the documents beside it. A
name with dots is a field within another; `*` stands for a name that the user chooses; `=` asks for a value of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from iarnet.analysis.structures.nodes import Node

Fate = Literal["carried", "done", "no-effect", "withheld", "not-supported"]


@dataclass(frozen=True)
class Field:
    """`carried`: the container gets it. `done`: IARNet does that anyway. `no-effect`: it means nothing here, which is
    told. `withheld`: it would open the host, so no repository gets it. `not-supported`: it is missing."""

    fate: Fate
    why: str


@dataclass(frozen=True)
class Seen:
    """A field that has no effect, and where it is."""

    name: str
    field: Field
    node: Node


def _fields(fate: Fate, **why: str) -> dict[str, Field]:
    return {name: Field(fate, text) for name, text in why.items()}


def _all(fate: Fate, why: str, names: str) -> dict[str, Field]:
    return {name: Field(fate, why) for name in names.split()}


_HOST = "it would reach beyond the container, into the host"
_WINDOWS = "it is for Windows"
_BUILD = "images are built by the engine's own builder, which needs or knows no such thing"
_PLACED = "where and how replicas run is decided by placement"
_RELEASED = "a change is released as a whole, and goes back as a whole when a part of it fails"
_ONE_NETWORK = "all components of an app share one network of their own, and no other app can reach it"
_LOCAL = "a volume is kept by the engine that its component runs on"

SERVICE: Mapping[str, Field] = {
    # What runs.
    **_fields(
        "carried",
        image="the image; beside `build` it is only the name of what is built",
        build="how its image is built",
        command="the arguments of the program, in place of the image's",
        entrypoint="the program, in place of the image's",
        working_dir="the folder in which it starts",
        user="who it runs as",
        group_add="further groups of that user",
        environment="settings; a name without a value takes it from `.env`, or from you",
        env_file="settings, from a file of the repository",
        profiles="left out, unless `COMPOSE_PROFILES` in `.env` names one of its profiles",
        extends="what it extends lies beneath it",
        depends_on="what starts first, and what is waited for",
        links="what starts first, and a name under which it is found",
        scale="replicas",
        deploy="replicas and room",
        healthcheck="when it is ready, and when it hangs",
        stop_signal="the signal that asks it to end",
        stop_grace_period="the time it then has, at most 90 s",
        init="whether a first process reaps the others: yes, unless it says no",
        tty="whether it has a terminal",
        stdin_open="whether its input stays open",
        labels="labels of the container; those of IARNet and Docker itself are left out",
        label_file="labels, from a file of the repository",
        runtime="the runtime of the engine that runs it; the engine must have it",
    ),
    # Room.
    **_fields(
        "carried",
        cpus="cores",
        cpu_quota="cores, with `cpu_period`",
        cpu_period="see `cpu_quota`",
        mem_limit="memory",
        mem_reservation="memory, where there is no limit",
        shm_size="the size of `/dev/shm`",
        pids_limit="the number of processes, at most 4,096",
        ulimits="limits of the kernel",
        oom_score_adj="how early it is ended when memory runs out; below 0 counts as 0",
        gpus="GPUs; `all` counts as one",
    ),
    # Network and files.
    **_fields(
        "carried",
        ports="published on the host: on the port it asks for, or on a free one when that is taken",
        expose="ports that its neighbours use",
        networks="aliases; " + _ONE_NETWORK,
        hostname="its own name, and a name under which it is found",
        container_name="a name under which it is found; instances have names of their own",
        domainname="the domain of its name",
        extra_hosts="names that it finds at fixed addresses",
        dns="name servers",
        dns_search="domains in which names are looked up",
        dns_opt="options of the resolver",
        sysctls="settings of the kernel, as far as they count within a container",
        volumes="named volumes are kept; files of the repository come into the image; a folder of the host becomes a"
        " volume",
        tmpfs="folders in memory",
        read_only="whether its file system can be written",
        configs="files, put into the container before it starts",
        secrets="files, put into the container before it starts",
        cap_add="harmless capabilities; the others only you can grant",
        cap_drop="capabilities that it does without",
    ),
    "networks.*": Field("carried", "the default network and others alike"),
    "networks.*.aliases": Field("carried", "names under which it is found"),
    "networks.*.ipv4_address": Field("carried", "settings of others that have it get the address that it has here"),
    **_all(
        "no-effect",
        _ONE_NETWORK,
        "networks.*.ipv6_address networks.*.link_local_ips networks.*.mac_address"
        " networks.*.priority networks.*.gw_priority networks.*.driver_opts networks.*.interface_name",
    ),
    "network_mode": Field("not-supported", "a container can't share the network of another one"),
    "network_mode=bridge": Field("done", "it is on the network of its app"),
    "network_mode=none": Field("carried", "it has no network"),
    "network_mode=host": Field("withheld", "it stays on the network of its app, where only published ports are seen"),
    **_all("carried", "a port of the container", "ports.target ports.published ports.protocol ports.app_protocol"),
    "ports.host_ip": Field("carried", "see `docker.publish_address`; an address that only the host has is told"),
    "ports.mode": Field("done", "the gateway leads a published port to all replicas"),
    "ports.name": Field("no-effect", "ports have no names here"),
    **_all(
        "carried",
        "what is mounted, and where",
        "volumes.type volumes.source volumes.src volumes.target volumes.dst volumes.destination volumes.read_only"
        " volumes.tmpfs volumes.tmpfs.size volumes.tmpfs.mode",
    ),
    "volumes.type=npipe": Field("withheld", _WINDOWS),
    "volumes.type=cluster": Field("not-supported", "there are no cluster volumes"),
    "volumes.type=image": Field("not-supported", "an image can't be mounted"),
    **_all("no-effect", _LOCAL, "volumes.consistency volumes.bind volumes.volume.labels"),
    "volumes.volume": Field("carried", "see its fields"),
    "volumes.volume.nocopy": Field("no-effect", "a new volume begins with what the image has there"),
    "volumes.volume.subpath": Field("not-supported", "a volume is mounted as a whole"),
    "volumes.image": Field("not-supported", "an image can't be mounted"),
    "volumes_from": Field("carried", "the volumes of another service"),
    "volumes_from=container": Field("withheld", "it would reach what is not of this app"),
    **_all("carried", "the file and its place", "configs.source configs.target secrets.source secrets.target"),
    **_all(
        "carried",
        "its owner and rights",
        "configs.uid configs.gid configs.mode secrets.uid secrets.gid secrets.mode",
    ),
    **_all("carried", "where the settings are", "env_file.path env_file.required env_file.format"),
    **_all("carried", "what lies beneath", "extends.service extends.file"),
    **_all("carried", "what is waited for", "depends_on.* depends_on.*.condition depends_on.*.required"),
    "depends_on.*.restart": Field("done", "whoever is replaced keeps its address, so nobody has to start again"),
    **_all(
        "carried",
        "how it is asked, how often and how long",
        "healthcheck.test healthcheck.interval healthcheck.timeout healthcheck.retries healthcheck.start_period"
        " healthcheck.disable",
    ),
    "healthcheck.start_interval": Field("done", "until it is ready it is asked often"),
    **_all(
        "carried",
        "how the image is built",
        "build.context build.dockerfile build.dockerfile_inline build.args build.target",
    ),
    **_all(
        "no-effect",
        _BUILD,
        "build.cache_from build.cache_to build.no_cache build.pull build.platforms build.tags build.labels"
        " build.shm_size build.ulimits build.isolation build.provenance build.sbom build.no_cache_filter",
    ),
    **_all("withheld", _HOST, "build.privileged build.entitlements"),
    "build.network": Field("no-effect", "builds use the network of the configuration (`builds.network`)"),
    **_all(
        "not-supported",
        "the engine's own builder has no such thing",
        "build.secrets build.ssh build.additional_contexts build.extra_hosts",
    ),
    "deploy.replicas": Field("carried", "replicas"),
    "deploy.mode": Field("carried", "`replicated-job` makes it a job"),
    "deploy.mode=global": Field("no-effect", _PLACED),
    "deploy.mode=global-job": Field("carried", "a job"),
    "deploy.labels": Field("no-effect", "they belong to a service of a swarm, not to its containers"),
    **_all("no-effect", _PLACED, "deploy.placement deploy.endpoint_mode"),
    **_all("done", _RELEASED, "deploy.update_config deploy.rollback_config"),
    "deploy.restart_policy": Field("done", "what ends is started again, with pauses that grow and a budget"),
    "deploy.resources": Field("carried", "room"),
    "deploy.resources.limits": Field("carried", "room"),
    "deploy.resources.reservations": Field("carried", "room, where there is no limit"),
    **_all(
        "carried",
        "room",
        "deploy.resources.limits.cpus deploy.resources.limits.memory deploy.resources.limits.pids"
        " deploy.resources.reservations.cpus deploy.resources.reservations.memory",
    ),
    "deploy.resources.reservations.devices": Field("carried", "GPUs; no other devices"),
    "deploy.resources.reservations.generic_resources": Field("no-effect", _PLACED),
    # What IARNet does anyway.
    "restart": Field("done", "what ends is started again, with pauses that grow and a budget"),
    **_all(
        "no-effect",
        "what ends is started again; a job is what others wait for with `service_completed_successfully`",
        "restart=no restart=on-failure",
    ),
    "pull_policy": Field("done", "images are pulled where they are missing, and built when their content is new"),
    **_all(
        "no-effect",
        "an image that is there is not pulled again; name another tag",
        "pull_policy=always pull_policy=daily pull_policy=weekly",
    ),
    "logging": Field("done", "the engine keeps the last 30 MB of each instance, and `iarnet logs` shows them"),
    "privileged=false": Field("done", "no container is privileged"),
    "use_api_socket=false": Field("done", "no container reaches the engine"),
    "oom_kill_disable=false": Field("done", "it may be ended when memory runs out"),
    "security_opt": Field("withheld", "containers keep the profiles of the engine"),
    "security_opt=no-new-privileges": Field("done", "no program gains privileges"),
    "security_opt=label": Field("no-effect", "containers keep the labels of the engine"),
    **_all("done", "each container has its own", "ipc=private ipc=shareable cgroup=private pid=private uts=private"),
    "platform": Field("no-effect", "images are pulled and built for the platform of the engine"),
    "attach": Field("no-effect", "`iarnet logs` shows what you ask for"),
    "develop": Field("no-effect", "it is for `docker compose watch`"),
    "annotations": Field("no-effect", "nothing here reads annotations; use `labels`"),
    "mac_address": Field("no-effect", _ONE_NETWORK),
    "storage_opt": Field("no-effect", "the size of a container's layer is not limited"),
    **_all("no-effect", "containers have no swap", "memswap_limit mem_swappiness"),
    **_all("no-effect", "`cpus` says its share", "cpu_shares cpuset"),
    **_all("no-effect", _WINDOWS, "isolation credential_spec cpu_count cpu_percent"),
    # What a repository can't have.
    **_all(
        "withheld",
        _HOST,
        "privileged use_api_socket devices device_cgroup_rules cgroup cgroup_parent ipc pid uts userns_mode"
        " oom_kill_disable blkio_config cpu_rt_period cpu_rt_runtime",
    ),
    **_all(
        "not-supported",
        "a container can't share the namespaces of another one",
        "ipc=service ipc=container pid=service pid=container",
    ),
    # What is missing.
    "external_links": Field("not-supported", "components of other apps are not reached by name"),
    "models": Field("not-supported", "there is nothing that runs models"),
    "provider": Field("not-supported", "nothing outside of IARNet is run"),
    **_all("not-supported", "no commands run beside the program", "pre_start post_start pre_stop"),
    "pull_refresh_after": Field("no-effect", "an image that is there is not pulled again; name another tag"),
}

TOP: Mapping[str, Field] = {
    "services": Field("carried", "see above"),
    "include": Field("carried", "other compose files of the repository, with an environment of their own"),
    **_all("carried", "where it is", "include.path include.env_file include.project_directory"),
    "name": Field("done", "the app has a name"),
    "version": Field("done", "the format is that of the specification"),
    "networks": Field("done", _ONE_NETWORK),
    "networks.*": Field("done", _ONE_NETWORK),
    **_all(
        "done",
        _ONE_NETWORK,
        "networks.*.name networks.*.driver networks.*.driver_opts networks.*.attachable networks.*.ipam"
        " networks.*.labels networks.*.enable_ipv4 networks.*.enable_ipv6",
    ),
    "networks.*.external": Field("no-effect", _ONE_NETWORK),
    "networks.*.external=false": Field("done", _ONE_NETWORK),
    "networks.*.internal": Field("no-effect", "the network of an app also leads outside"),
    "networks.*.internal=false": Field("done", "the network of an app also leads outside"),
    "volumes": Field("carried", "volumes that outlive their components"),
    "volumes.*": Field("carried", "a volume"),
    **_all("done", _LOCAL, "volumes.*.name volumes.*.labels volumes.*.driver=local"),
    **_all("no-effect", _LOCAL, "volumes.*.driver volumes.*.driver_opts"),
    "volumes.*.external": Field("withheld", "it belongs to somebody else; the app gets an empty one of its own"),
    "volumes.*.external=false": Field("done", _LOCAL),
    **_all("carried", "files that services name", "configs configs.* secrets secrets.*"),
    **_all(
        "carried",
        "what is in the file",
        "configs.*.file configs.*.content configs.*.environment secrets.*.file secrets.*.content"
        " secrets.*.environment",
    ),
    **_all("carried", "you say what is in it", "configs.*.external secrets.*.external"),
    **_all(
        "no-effect",
        "it belongs to a swarm",
        "configs.*.name configs.*.labels configs.*.template_driver secrets.*.name secrets.*.labels secrets.*.driver"
        " secrets.*.driver_opts secrets.*.template_driver",
    ),
    "models": Field("not-supported", "there is nothing that runs models"),
}


def unused(
    given: Mapping[str, Node], table: Mapping[str, Field], known_as: str = "", shown: str = ""
) -> Iterator[Seen]:
    """What of it has no effect, in the order of the file. Extensions (`x-…`) are nobody's.

    `known_as` and `shown`: what comes before a name, in the table and in the file.
    """
    for key, node in given.items():
        name = f"{known_as}{key}"
        if name not in table and not any(known.startswith(f"{name}=") for known in table):
            name = f"{known_as}*"
        if key.startswith("x-"):
            continue
        if name in table or not name.endswith("*"):
            yield from _looked_at(node, table, name, f"{shown}{key}")
        else:
            yield Seen(f"{shown}{key}", Field("not-supported", "compose knows no such field"), node)


def _looked_at(node: Node, table: Mapping[str, Field], name: str, shown: str) -> Iterator[Seen]:
    for item in node.value if isinstance(node.value, list) and node.value else [node]:
        field = _of(table, name, item)
        if field.fate in ("no-effect", "withheld", "not-supported"):
            yield Seen(shown, field, item)
        elif isinstance(item.value, dict) and any(known.startswith(f"{name}.") for known in table):
            yield from unused(item.value, table, f"{name}.", f"{shown}.")


def _of(table: Mapping[str, Field], name: str, node: Node) -> Field:
    asked = (f"{name}={node.raw}", f"{name}={node.raw.replace('=', ':').partition(':')[0]}", name)
    return next((table[key] for key in asked if key in table), Field("not-supported", "compose knows no such value"))
