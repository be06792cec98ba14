from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CodeAnalysisRequest(_message.Message):
    __slots__ = ("project_path", "language", "framework")
    PROJECT_PATH_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_FIELD_NUMBER: _ClassVar[int]
    project_path: str
    language: str
    framework: str
    def __init__(self, project_path: _Optional[str] = ..., language: _Optional[str] = ..., framework: _Optional[str] = ...) -> None: ...

class CodeAnalysisResponse(_message.Message):
    __slots__ = ("components", "edges", "tree", "version", "evidence", "warnings")
    class Evidence(_message.Message):
        __slots__ = ("fact", "value", "file", "line", "confidence", "detector")
        FACT_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        FILE_FIELD_NUMBER: _ClassVar[int]
        LINE_FIELD_NUMBER: _ClassVar[int]
        CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
        DETECTOR_FIELD_NUMBER: _ClassVar[int]
        fact: str
        value: str
        file: str
        line: int
        confidence: float
        detector: str
        def __init__(self, fact: _Optional[str] = ..., value: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., confidence: _Optional[float] = ..., detector: _Optional[str] = ...) -> None: ...
    class Warning(_message.Message):
        __slots__ = ("code", "message", "file", "line", "severity")
        CODE_FIELD_NUMBER: _ClassVar[int]
        MESSAGE_FIELD_NUMBER: _ClassVar[int]
        FILE_FIELD_NUMBER: _ClassVar[int]
        LINE_FIELD_NUMBER: _ClassVar[int]
        SEVERITY_FIELD_NUMBER: _ClassVar[int]
        code: str
        message: str
        file: str
        line: int
        severity: str
        def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., severity: _Optional[str] = ...) -> None: ...
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    TREE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    components: _containers.RepeatedCompositeFieldContainer[Component]
    edges: _containers.RepeatedCompositeFieldContainer[DAGEdge]
    tree: str
    version: int
    evidence: _containers.RepeatedCompositeFieldContainer[CodeAnalysisResponse.Evidence]
    warnings: _containers.RepeatedCompositeFieldContainer[CodeAnalysisResponse.Warning]
    def __init__(self, components: _Optional[_Iterable[_Union[Component, _Mapping]]] = ..., edges: _Optional[_Iterable[_Union[DAGEdge, _Mapping]]] = ..., tree: _Optional[str] = ..., version: _Optional[int] = ..., evidence: _Optional[_Iterable[_Union[CodeAnalysisResponse.Evidence, _Mapping]]] = ..., warnings: _Optional[_Iterable[_Union[CodeAnalysisResponse.Warning, _Mapping]]] = ...) -> None: ...

class Component(_message.Message):
    __slots__ = ("id", "name", "type", "language", "framework", "requirements", "root", "image", "build", "entrypoint", "command", "start_command", "ports", "env", "health", "limits", "ejection", "volumes", "replicas", "user", "capabilities", "working_dir", "aliases", "files", "container")
    class Build(_message.Message):
        __slots__ = ("context", "dockerfile", "recipe", "target", "args", "added")
        class ArgsEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        CONTEXT_FIELD_NUMBER: _ClassVar[int]
        DOCKERFILE_FIELD_NUMBER: _ClassVar[int]
        RECIPE_FIELD_NUMBER: _ClassVar[int]
        TARGET_FIELD_NUMBER: _ClassVar[int]
        ARGS_FIELD_NUMBER: _ClassVar[int]
        ADDED_FIELD_NUMBER: _ClassVar[int]
        context: str
        dockerfile: str
        recipe: str
        target: str
        args: _containers.ScalarMap[str, str]
        added: _containers.RepeatedCompositeFieldContainer[_struct_pb2.ListValue]
        def __init__(self, context: _Optional[str] = ..., dockerfile: _Optional[str] = ..., recipe: _Optional[str] = ..., target: _Optional[str] = ..., args: _Optional[_Mapping[str, str]] = ..., added: _Optional[_Iterable[_Union[_struct_pb2.ListValue, _Mapping]]] = ...) -> None: ...
    class Port(_message.Message):
        __slots__ = ("port", "protocol", "publish", "host_port")
        PORT_FIELD_NUMBER: _ClassVar[int]
        PROTOCOL_FIELD_NUMBER: _ClassVar[int]
        PUBLISH_FIELD_NUMBER: _ClassVar[int]
        HOST_PORT_FIELD_NUMBER: _ClassVar[int]
        port: int
        protocol: str
        publish: str
        host_port: int
        def __init__(self, port: _Optional[int] = ..., protocol: _Optional[str] = ..., publish: _Optional[str] = ..., host_port: _Optional[int] = ...) -> None: ...
    class Variable(_message.Message):
        __slots__ = ("name", "value", "secret", "required")
        NAME_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        SECRET_FIELD_NUMBER: _ClassVar[int]
        REQUIRED_FIELD_NUMBER: _ClassVar[int]
        name: str
        value: str
        secret: str
        required: bool
        def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ..., secret: _Optional[str] = ..., required: _Optional[bool] = ...) -> None: ...
    class Health(_message.Message):
        __slots__ = ("type", "path", "service", "port", "command", "interval_s", "timeout_s", "start_period_s", "retries")
        TYPE_FIELD_NUMBER: _ClassVar[int]
        PATH_FIELD_NUMBER: _ClassVar[int]
        SERVICE_FIELD_NUMBER: _ClassVar[int]
        PORT_FIELD_NUMBER: _ClassVar[int]
        COMMAND_FIELD_NUMBER: _ClassVar[int]
        INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
        TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
        START_PERIOD_S_FIELD_NUMBER: _ClassVar[int]
        RETRIES_FIELD_NUMBER: _ClassVar[int]
        type: str
        path: str
        service: str
        port: int
        command: _containers.RepeatedScalarFieldContainer[str]
        interval_s: float
        timeout_s: float
        start_period_s: float
        retries: int
        def __init__(self, type: _Optional[str] = ..., path: _Optional[str] = ..., service: _Optional[str] = ..., port: _Optional[int] = ..., command: _Optional[_Iterable[str]] = ..., interval_s: _Optional[float] = ..., timeout_s: _Optional[float] = ..., start_period_s: _Optional[float] = ..., retries: _Optional[int] = ...) -> None: ...
    class Limits(_message.Message):
        __slots__ = ("connections", "pending", "requests", "retries")
        CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
        PENDING_FIELD_NUMBER: _ClassVar[int]
        REQUESTS_FIELD_NUMBER: _ClassVar[int]
        RETRIES_FIELD_NUMBER: _ClassVar[int]
        connections: int
        pending: int
        requests: int
        retries: int
        def __init__(self, connections: _Optional[int] = ..., pending: _Optional[int] = ..., requests: _Optional[int] = ..., retries: _Optional[int] = ...) -> None: ...
    class Ejection(_message.Message):
        __slots__ = ("after", "for_s", "percent")
        AFTER_FIELD_NUMBER: _ClassVar[int]
        FOR_S_FIELD_NUMBER: _ClassVar[int]
        PERCENT_FIELD_NUMBER: _ClassVar[int]
        after: int
        for_s: float
        percent: int
        def __init__(self, after: _Optional[int] = ..., for_s: _Optional[float] = ..., percent: _Optional[int] = ...) -> None: ...
    class Volume(_message.Message):
        __slots__ = ("name", "path", "read_only", "of")
        NAME_FIELD_NUMBER: _ClassVar[int]
        PATH_FIELD_NUMBER: _ClassVar[int]
        READ_ONLY_FIELD_NUMBER: _ClassVar[int]
        OF_FIELD_NUMBER: _ClassVar[int]
        name: str
        path: str
        read_only: bool
        of: str
        def __init__(self, name: _Optional[str] = ..., path: _Optional[str] = ..., read_only: _Optional[bool] = ..., of: _Optional[str] = ...) -> None: ...
    class File(_message.Message):
        __slots__ = ("name", "path", "value", "secret", "mode", "uid", "gid")
        NAME_FIELD_NUMBER: _ClassVar[int]
        PATH_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        SECRET_FIELD_NUMBER: _ClassVar[int]
        MODE_FIELD_NUMBER: _ClassVar[int]
        UID_FIELD_NUMBER: _ClassVar[int]
        GID_FIELD_NUMBER: _ClassVar[int]
        name: str
        path: str
        value: str
        secret: str
        mode: int
        uid: int
        gid: int
        def __init__(self, name: _Optional[str] = ..., path: _Optional[str] = ..., value: _Optional[str] = ..., secret: _Optional[str] = ..., mode: _Optional[int] = ..., uid: _Optional[int] = ..., gid: _Optional[int] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_FIELD_NUMBER: _ClassVar[int]
    REQUIREMENTS_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    BUILD_FIELD_NUMBER: _ClassVar[int]
    ENTRYPOINT_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    START_COMMAND_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    EJECTION_FIELD_NUMBER: _ClassVar[int]
    VOLUMES_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    WORKING_DIR_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    type: str
    language: str
    framework: str
    requirements: ResourceRequirements
    root: str
    image: str
    build: Component.Build
    entrypoint: _struct_pb2.ListValue
    command: _struct_pb2.ListValue
    start_command: str
    ports: _containers.RepeatedCompositeFieldContainer[Component.Port]
    env: _containers.RepeatedCompositeFieldContainer[Component.Variable]
    health: Component.Health
    limits: Component.Limits
    ejection: Component.Ejection
    volumes: _containers.RepeatedCompositeFieldContainer[Component.Volume]
    replicas: int
    user: str
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    working_dir: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    files: _containers.RepeatedCompositeFieldContainer[Component.File]
    container: _struct_pb2.Struct
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., type: _Optional[str] = ..., language: _Optional[str] = ..., framework: _Optional[str] = ..., requirements: _Optional[_Union[ResourceRequirements, _Mapping]] = ..., root: _Optional[str] = ..., image: _Optional[str] = ..., build: _Optional[_Union[Component.Build, _Mapping]] = ..., entrypoint: _Optional[_Union[_struct_pb2.ListValue, _Mapping]] = ..., command: _Optional[_Union[_struct_pb2.ListValue, _Mapping]] = ..., start_command: _Optional[str] = ..., ports: _Optional[_Iterable[_Union[Component.Port, _Mapping]]] = ..., env: _Optional[_Iterable[_Union[Component.Variable, _Mapping]]] = ..., health: _Optional[_Union[Component.Health, _Mapping]] = ..., limits: _Optional[_Union[Component.Limits, _Mapping]] = ..., ejection: _Optional[_Union[Component.Ejection, _Mapping]] = ..., volumes: _Optional[_Iterable[_Union[Component.Volume, _Mapping]]] = ..., replicas: _Optional[int] = ..., user: _Optional[str] = ..., capabilities: _Optional[_Iterable[str]] = ..., working_dir: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ..., files: _Optional[_Iterable[_Union[Component.File, _Mapping]]] = ..., container: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class ResourceRequirements(_message.Message):
    __slots__ = ("cpu", "memory", "gpu", "storage")
    CPU_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    STORAGE_FIELD_NUMBER: _ClassVar[int]
    cpu: float
    memory: int
    gpu: float
    storage: int
    def __init__(self, cpu: _Optional[float] = ..., memory: _Optional[int] = ..., gpu: _Optional[float] = ..., storage: _Optional[int] = ...) -> None: ...

class DAGEdge(_message.Message):
    __slots__ = ("to", "type", "condition", "env")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    to: str
    type: str
    condition: str
    env: str
    def __init__(self, to: _Optional[str] = ..., type: _Optional[str] = ..., condition: _Optional[str] = ..., env: _Optional[str] = ..., **kwargs) -> None: ...
