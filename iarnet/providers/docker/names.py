"""What things are called on an engine: two installations that share one never mean the same thing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """`owner` is the installation that they belong to."""

    owner: str

    def container(self, instance: str) -> str:
        return f"{instance}.{self.owner}"

    def network(self, app: str, slot: int = 0) -> str:
        home = f"iarnet-{app}.{self.owner}"
        return f"{home}.{slot}" if slot else home

    def volume(self, app: str, component: str, volume: str) -> str:
        return f"iarnet-{app}-{component}-{volume}.{self.owner}"

    def companion(self, provider_id: str) -> str:
        return f"iarnet-gateway.{self.owner}.{provider_id}"
