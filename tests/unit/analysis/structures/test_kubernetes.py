"""Kubernetes manifests, kustomize bases and Helm values beside the programs that they run."""

import base64

import pytest

from iarnet.analysis.engine import analyze
from iarnet.analysis.memory import MemoryTree
from iarnet.analysis.structures.nodes import documents
from iarnet.models.analysis import Analysis, Evidence
from iarnet.models.component import Component, HealthCheck, Port

API = {
    "api/Dockerfile": "FROM python:3.12\nCOPY . .\nCMD python app.py\n",
    "api/requirements.txt": "flask\n",
    "api/app.py": "import flask\napp = flask.Flask('a')\n",
}
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: orders
spec:
  replicas: 2
  selector: {matchLabels: {app: orders}}
  template:
    metadata: {labels: {app: orders, tier: back}}
    spec:
      containers:
        - name: main
          image: registry.example.org/acme/api:1.4
          args: [python, app.py, --fast]
          ports:
            - {name: http, containerPort: 7000}
          env:
            - {name: STORE, value: "redis://cache-svc.shop.svc.cluster.local/1"}
            - {name: MODE, valueFrom: {configMapKeyRef: {name: settings, key: mode}}}
            - {name: TOKEN, valueFrom: {secretKeyRef: {name: hidden, key: token}}}
            - {name: KEY, valueFrom: {secretKeyRef: {name: elsewhere, key: key}}}
            - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
          readinessProbe:
            httpGet: {path: /ready, port: http}
            periodSeconds: 7
          resources:
            requests: {cpu: 100m, memory: 64Mi}
            limits: {memory: 256Mi}
          volumeMounts:
            - {name: files, mountPath: /data}
            - {name: scratch, mountPath: /tmp}
      volumes:
        - {name: files, persistentVolumeClaim: {claimName: files}}
        - {name: scratch, emptyDir: {}}
"""
CACHE = """\
apiVersion: v1
kind: Service
metadata: {name: cache-svc}
spec: {selector: {app: cache}, ports: [{port: 6379}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: cache}
spec:
  template:
    metadata: {labels: {app: cache}}
    spec: {containers: [{name: redis, image: "redis:7.4"}]}
"""
SETTINGS = f"""\
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data: {{mode: live}}
---
apiVersion: v1
kind: Secret
metadata: {{name: hidden}}
data: {{token: {base64.b64encode(b"abc").decode()}}}
"""


def found(files: dict[str, str]) -> Analysis:
    return analyze(MemoryTree(files))


def component(analysis: Analysis, name: str) -> Component:
    return next(c for c in analysis.components if c.name == name)


def evidence(analysis: Analysis, fact: str) -> Evidence:
    return next(e for e in analysis.evidence if e.fact == fact and e.detector == "kubernetes")


def whole() -> Analysis:
    manifests = {"k8s/api.yaml": DEPLOYMENT, "k8s/cache.yaml": CACHE, "k8s/settings.yml": SETTINGS}
    return found({**API, **manifests})


def test_a_workload_is_the_program_that_its_image_holds() -> None:
    orders = component(whole(), "orders")
    assert orders.build
    assert (orders.root, orders.build.dockerfile, orders.image) == ("api", "api/Dockerfile", None)
    assert (orders.language, orders.framework, orders.replicas) == ("python", "flask", 2)
    assert orders.command == ("python", "app.py", "--fast")
    assert orders.ports == (Port(port=7000, publish="auto"),)
    assert orders.health == HealthCheck(type="http", path="/ready", port=7000, interval_s=7)
    assert (orders.resources.cpu_millis, orders.resources.memory_bytes) == (100, 256 * 1024**2)
    assert [(volume.name, volume.path) for volume in orders.volumes] == [("files", "/data")]


def test_what_it_runs_beside_and_how_they_find_each_other() -> None:
    analysis = whole()
    assert [c.name for c in analysis.components] == ["cache", "orders"]
    assert component(analysis, "cache").image == "redis:7.4"
    env = {variable.name: variable for variable in component(analysis, "orders").env}
    assert {name: variable.value for name, variable in env.items()} == {
        "STORE": "redis://cache/1",
        "MODE": "live",
        "TOKEN": "abc",
        "KEY": None,
    }
    assert env["KEY"].required
    assert [(edge.from_, edge.to, edge.type) for edge in analysis.edges] == [("orders", "cache", "cache")]


def test_a_login_in_a_secret_of_the_cluster_is_made_up() -> None:
    taken = "valueFrom: {secretKeyRef: {name: elsewhere, key: k}}"
    database = "apiVersion: v1\nkind: Pod\nmetadata: {name: db}\nspec:\n  containers:\n  - image: mysql:8\n    env:\n"
    database += f"    - {{name: MYSQL_USER, {taken}}}\n    - {{name: MYSQL_PASSWORD, {taken}}}\n"
    database += f"    - {{name: MYSQL_ROOT_PASSWORD, {taken}}}\n    - {{name: MYSQL_DATABASE, value: shop}}\n"
    client = DEPLOYMENT.replace("name: KEY,", "name: DB_PASSWORD,").replace(
        "redis://cache-svc.shop.svc.cluster.local/1", "db:3306"
    )
    analysis = found({**API, "k8s/db.yaml": database, "k8s/api.yaml": client})
    env = {variable.name: (variable.value, variable.secret) for variable in component(analysis, "db").env}
    assert (env["MYSQL_USER"], env["MYSQL_DATABASE"]) == (("app", None), ("shop", None))
    assert env["MYSQL_PASSWORD"] == env["MYSQL_ROOT_PASSWORD"] == ("{secret}", "db/password")
    orders = {variable.name: (variable.value, variable.secret) for variable in component(analysis, "orders").env}
    assert orders["DB_PASSWORD"] == ("{secret}", "db/password")


def test_each_fact_has_its_line() -> None:
    analysis = whole()
    assert (evidence(analysis, "orders").file, evidence(analysis, "orders").line) == ("k8s/api.yaml", 1)
    lines = {name: evidence(analysis, f"orders.{name}").line for name in ("ports", "env.STORE", "replicas")}
    assert lines == {"ports": 16, "env.STORE": 18, "replicas": 6}
    assert evidence(analysis, "cache").line == 6


def test_a_contradiction_is_told() -> None:
    files = {**API, "api/Dockerfile": API["api/Dockerfile"] + "EXPOSE 5000\n", "k8s.yaml": DEPLOYMENT}
    told = [warning.message for warning in found(files).warnings if warning.code == "contradiction"]
    assert any("7000" in message and "5000" in message for message in told)


def test_compose_is_stronger() -> None:
    analysis = found({**API, "compose.yaml": "services:\n  web:\n    build: api\n", "k8s.yaml": DEPLOYMENT})
    assert [c.name for c in analysis.components] == ["web"]


def test_a_service_on_another_port_leads_to_that_of_the_pod() -> None:
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: back}\nspec:\n  type: LoadBalancer\n"
    service += "  selector: {app: orders}\n  ports: [{port: 80, targetPort: http}]\n---\n"
    web = (
        DEPLOYMENT.replace("orders", "front")
        .replace("acme/api", "acme/web")
        .replace("cache-svc.shop.svc.cluster.local/1", "x")
    )
    web = web.replace("redis://x", "http://back/v1")
    files = {**API, "web/Dockerfile": "FROM nginx\n", "a.yaml": service + DEPLOYMENT, "b.yaml": web}
    analysis = found(files)
    env = {variable.name: variable.value for variable in component(analysis, "front").env}
    assert env["STORE"] == "http://orders:7000/v1"
    assert component(analysis, "orders").ports[0].publish == "auto"
    assert ("front", "orders") in [(edge.from_, edge.to) for edge in analysis.edges]


def test_the_only_image_is_the_only_program() -> None:
    files = {name.removeprefix("api/"): text for name, text in API.items()}
    analysis = found({**files, "deploy/app.yaml": DEPLOYMENT})
    assert [(c.name, c.root, c.image) for c in analysis.components] == [("orders", ".", None)]


def test_without_dockerfiles_a_program_is_what_an_image_holds() -> None:
    code = {name: text for name, text in API.items() if not name.endswith("Dockerfile")}
    analysis = found({**code, "k8s/api.yaml": DEPLOYMENT})
    [orders] = analysis.components
    assert (orders.name, orders.root, orders.framework, orders.image) == ("orders", "api", "flask", None)
    assert orders.build
    assert orders.build.recipe


def test_without_any_program_all_images_run() -> None:
    analysis = found({"k8s/api.yaml": DEPLOYMENT, "k8s/cache.yaml": CACHE})
    images = {c.name: c.image for c in analysis.components}
    assert images == {"cache": "redis:7.4", "orders": "registry.example.org/acme/api:1.4"}


def test_a_build_of_other_code_is_left_out_and_told() -> None:
    other = DEPLOYMENT.replace("orders", "billing").replace("acme/api", "acme/billing")
    analysis = found({**API, "k8s/a.yaml": DEPLOYMENT, "k8s/b.yaml": other})
    assert [c.name for c in analysis.components] == ["orders"]
    [told] = [warning for warning in analysis.warnings if warning.code == "not-run"]
    assert (told.file, told.line) == ("k8s/b.yaml", 1)
    assert "billing" in told.message


def test_a_job_and_what_a_clock_starts() -> None:
    pod = "spec: {containers: [{name: a, image: acme/api}]}"
    job = f"apiVersion: batch/v1\nkind: Job\nmetadata: {{name: migrate}}\nspec: {{template: {{{pod}}}}}\n"
    later = (
        f"---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {{name: nightly}}\nspec: {{jobTemplate: {{{pod}}}}}\n"
    )
    analysis = found({**API, "k8s/jobs.yaml": job + later})
    assert [(c.name, c.kind) for c in analysis.components] == [("migrate", "job")]
    assert any("nightly" in warning.message for warning in analysis.warnings)


def test_kustomize_names_images_and_its_patches_are_no_workloads() -> None:
    base = {
        "k/base/kustomization.yaml": "resources: [api.yaml]\nimages:\n- {name: placeholder, newName: acme/api}\n",
        "k/base/api.yaml": DEPLOYMENT.replace("registry.example.org/acme/api:1.4", "placeholder"),
        "k/overlays/prod/kustomization.yaml": "resources: [../../base]\npatches:\n- path: more.yaml\n",
        "k/overlays/prod/more.yaml": DEPLOYMENT.replace("replicas: 2", "replicas: 9").replace("orders", "patched"),
    }
    analysis = found({**API, **base})
    assert [(c.name, c.root, c.replicas) for c in analysis.components] == [("orders", "api", 2)]


def test_the_values_of_a_chart_are_read_and_its_templates_are_not() -> None:
    values = "replicaCount: 3\nimage: {repository: acme/api, tag: '1'}\nservice: {port: 80, targetPort: 7100}\n"
    values += "resources: {limits: {memory: 128Mi}}\ningress: {enabled: true}\n"
    chart = {
        "chart/Chart.yaml": "apiVersion: v2\nname: orders\n",
        "chart/values.yaml": values,
        "chart/templates/api.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: {{ .Release.Name }}}\n",
    }
    analysis = found({**API, **chart})
    [orders] = analysis.components
    assert (orders.name, orders.root, orders.replicas) == ("orders", "api", 3)
    assert orders.ports == (Port(port=7100, publish="auto"),)
    assert orders.resources.memory_bytes == 128 * 1024**2
    assert evidence(analysis, "orders.ports").file == "chart/values.yaml"


def test_the_port_of_a_service_is_not_that_of_its_container() -> None:
    pod = "spec:\n  containers:\n    - name: {{ .Chart.Name }}\n      ports:\n        - containerPort: 7100\n"
    chart = {
        "chart/Chart.yaml": "apiVersion: v2\nname: orders-chart\n",
        "chart/values.yaml": "image: {repository: acme/api}\nservice: {port: 80}\n",
    }
    assert found({**API, **chart}).components[0].ports[0].port == 80
    [orders] = found({**API, **chart, "chart/templates/deployment.yaml": pod}).components
    assert (orders.name, orders.ports[0].port) == ("orders", 7100)


def test_a_chart_for_what_manifests_run_already_adds_nothing() -> None:
    chart = {"c/Chart.yaml": "name: shop\n", "c/values.yaml": "api: {image: {repository: acme/api}}\n"}
    analysis = found({**API, "k8s.yaml": DEPLOYMENT, **chart})
    assert [c.name for c in analysis.components] == ["orders"]
    assert not [warning for warning in analysis.warnings if warning.code == "not-run"]


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: Pod\nmetadata: [",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: []\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: {a: b}}\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [7, {image: [1]}, {}]}\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
        "spec: {containers: [{image: api, resources: {limits: {cpu: z}}}]}\n",
        "apiVersion: v1\nkind: List\nitems: 7\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {selector: {}, ports: [{port: {}}]}\n",
        "- apiVersion: v1\n  kind: Pod\n",
        "---\n---\napiVersion: v1\nkind: Pod\n",
    ],
)
def test_a_broken_manifest_is_passed_over(text: str) -> None:
    assert [c.name for c in found({**API, "k8s/broken.yaml": text}).components] == ["api"]


def test_documents_know_their_lines() -> None:
    read = documents("a: 1\n---\nb: 2\n...\n---\n- c\n", "f.yaml")
    assert [(type(one.value), one.line) for one in read] == [(dict, 1), (dict, 3), (list, 6)]
