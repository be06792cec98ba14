"""The Dockerfile of a Java program: built with Maven or Gradle, run on the runtime alone."""

from dataclasses import dataclass

from iarnet.analysis.recipes import dockerfile


@dataclass(frozen=True)
class WarServer:
    """`home` is where it may write, `target` where it takes the archive from. `option` moves it to another port."""

    name: str
    image: str
    home: str
    target: str
    start: str
    port: int = 8080
    option: str = ""


TOMCAT = WarServer("tomcat", "tomcat:10-jre17", "/usr/local/tomcat", "/usr/local/tomcat/webapps/ROOT.war",
                   "catalina.sh run")  # fmt: skip
WILDFLY = WarServer("wildfly", "quay.io/wildfly/wildfly:30.0.1.Final-jdk17", "/opt/jboss/wildfly",
                    "/opt/jboss/wildfly/standalone/deployments/ROOT.war",
                    "/opt/jboss/wildfly/bin/standalone.sh -b 0.0.0.0",
                    option=" -Djboss.http.port={port}")  # fmt: skip
LIBERTY = WarServer("open-liberty", "icr.io/appcafe/open-liberty:full-java17-openj9-ubi", "/opt/ol/wlp/usr",
                    "/config/dropins/ROOT.war", "/opt/ol/wlp/bin/server run defaultServer", 9080)  # fmt: skip


@dataclass(frozen=True)
class JavaBuild:
    """`folder` is the module below the context. `layout`: `jar` starts by itself, `quarkus` is a folder, `classes` a
    jar with its libraries in `lib`, `war` what a server runs. All of it lies in `/app` when `start` runs."""

    version: int
    tool: str
    start: str
    folder: str = "."
    layout: str = "jar"
    wrapper: bool = False
    port: int | None = None


def java_recipe(build: JavaBuild) -> str:
    """Runs as user 10001 in `/app`; the heap may take three quarters of the container's memory."""
    stage = _maven(build) if build.tool == "maven" else _gradle(build)
    return dockerfile.joined(
        *stage,
        "",
        f"FROM eclipse-temurin:{build.version}-jre",
        "ENV JAVA_TOOL_OPTIONS=-XX:MaxRAMPercentage=75 HOME=/app",
        "RUN mkdir -p /app && chown 10001:10001 /app",
        "WORKDIR /app",
        "COPY --from=build --chown=10001:10001 /out /app",
        "USER 10001",
        dockerfile.expose(build.port),
        dockerfile.cmd(build.start),
    )


def war_recipe(build: JavaBuild, server: WarServer, configuration: str | None = None) -> str:
    """The archive in the server's own image, which it runs as user 10001. `configuration`: a file for Liberty."""
    stage = _maven(build) if build.tool == "maven" else _gradle(build)
    return dockerfile.joined(
        *stage,
        "",
        f"FROM {server.image}",
        "USER 0",
        f"COPY {configuration} /config/server.xml" if configuration else None,
        f"COPY --from=build --chown=10001:0 /out/app.war {server.target}",
        f"RUN chown -R 10001:0 {server.home}",
        "USER 10001",
        dockerfile.expose(build.port),
        dockerfile.cmd(build.start),
    )


def _maven(build: JavaBuild) -> list[str]:
    module = [] if build.folder == "." else ["-pl", build.folder, "-am"]
    goals = ["package"]
    if build.layout == "classes":
        goals += ["dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=target/lib"]
    quiet = ["mvn", "--batch-mode", "--no-transfer-progress"]
    # Of several modules, each needs the others' sources before anything can be resolved.
    ahead = ["COPY pom.xml ./", dockerfile.run(*quiet, "dependency:go-offline")] if build.folder == "." else []
    return [
        f"FROM maven:3-eclipse-temurin-{build.version} AS build",
        "WORKDIR /src",
        *ahead,
        "COPY . .",
        dockerfile.run(*quiet, *module, *goals, "-DskipTests"),
        _collect(build, "target", "quarkus-app"),
    ]


def _gradle(build: JavaBuild) -> list[str]:
    project = "" if build.folder == "." else ":" + build.folder.replace("/", ":") + ":"
    program = ["sh", "./gradlew"] if build.wrapper else ["gradle"]
    image = f"eclipse-temurin:{build.version}-jdk" if build.wrapper else f"gradle:8-jdk{build.version}"
    task = "installDist" if build.layout == "classes" else "assemble"
    return [
        f"FROM {image} AS build",
        "WORKDIR /src",
        "COPY . .",
        dockerfile.run(*program, "--no-daemon", f"{project}{task}"),
        _collect(build, "build/libs", "../quarkus-app"),
    ]


def _collect(build: JavaBuild, folder: str, quarkus: str) -> str:
    """Everything that runs, in `/out`. Of several jars the largest: others hold sources, or lack the libraries."""
    at = folder if build.folder == "." else f"{build.folder}/{folder}"
    if build.layout == "quarkus":
        return f"RUN mkdir /out && cp -r {at}/{quarkus}/. /out"
    if build.layout == "classes" and build.tool == "gradle":
        libraries = at.removesuffix("libs") + "install/*/lib"
        return f"RUN mkdir -p /out/lib && cp {libraries}/*.jar /out/lib && cp {at}/*.jar /out/app.jar"
    if build.layout == "war":
        return f"RUN mkdir /out && {_largest(f'{at}/*.war', '/out/app.war')}"
    jar = _largest(f"{at}/*.jar", "/out/app.jar")
    if build.layout == "classes":
        return f"RUN mkdir -p /out {at}/lib && {jar} && cp -r {at}/lib /out/lib"
    return f"RUN mkdir /out && {jar}"


def _largest(pattern: str, to: str) -> str:
    """Without a pipe, in which a failure would be lost."""
    larger = f'[ ! -e {to} ] || [ "$(stat -c %s "$file")" -gt "$(stat -c %s {to})" ]'
    return f'for file in {pattern}; do if {larger}; then cp "$file" {to} || exit 1; fi; done'
