"""Domains besides a host's own that its features serve: rooms, nodes."""

from __future__ import annotations

from collections.abc import Container

from imsuite.core.host import FeatureConflict, Host


def enter(host: Host, taken: Container[str] = ()) -> None:
    """Let the services of a host's features take the stanzas of their domains.

    taken: domains that something else is going to serve. Raises FeatureConflict where a domain
    is taken.
    """
    router = host.router
    for word, feature in host.features.items():
        for domain, route in feature.serves():
            if domain in taken or domain in router.services or domain in router.hosts:
                raise FeatureConflict(
                    f"{host.domain}: feature {word} wants to serve {domain}, which is served "
                    f"already; give it another name by [features.{word}] or switch it off"
                )
            router.services[domain] = route
