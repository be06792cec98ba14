"""Make this machine able to run containers and tests: `machine.py engine-up | engine-down | images | all | host |
pebble | temporal`; `--all` and `--toolchains` bring more images.

Uses what is there first, adds only what is missing, and may be run again at any time.
"""

import argparse
import sys

import engine
import go_programs
import images
import packages
from places import exclusively, say


def main() -> None:
    """Run one command; exits with a message on stderr when the machine lacks something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("engine-up", help="use or start a Docker engine")
    commands.add_parser("engine-down", help="end the engine that engine-up started")
    commands.add_parser("host", help="print the engine's DOCKER_HOST value")
    for name in go_programs.NAMES:
        commands.add_parser(name, help=f"build {name} for the tests, and print where it is")
    for name in ("images", "all"):
        command = commands.add_parser(name, help="engine and base images")
        command.add_argument("--all", action="store_true", help="also the images and programs that only tests need")
        command.add_argument("--toolchains", action="store_true", help="also base images of more languages")
    arguments = parser.parse_args()
    if arguments.command == "host":
        print(_running_host())
        return
    if arguments.command in go_programs.NAMES:
        print(go_programs.provide(arguments.command) or sys.exit("there is no go on this machine; Go 1.26 builds it"))
        return
    with exclusively("machine"):
        if arguments.command == "engine-down":
            engine.engine_down()
            return
        host = engine.engine_up()
        say(f"engine  {host}")
        if arguments.command == "engine-up":
            return
        if arguments.all:
            packages.require(packages.FOR_TESTS, packages.HIDDEN)
            for name in go_programs.NAMES:
                go_programs.provide(name)
        images.provide(host, every=arguments.all, toolchains=arguments.toolchains)


def _running_host() -> str:
    if host := engine.find_host():
        return host
    sys.exit("no Docker engine answers; `make machine` starts one")


if __name__ == "__main__":
    main()
