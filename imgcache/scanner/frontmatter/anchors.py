"""Composes YAML in which one anchor is set twice, as Ruby does: an alias takes the last value above it.

YAML 1.2.2, section 3.2.2.2, allows that. PyYAML refuses it, as libyaml's own composer does.
"""

from __future__ import annotations

import yaml
from yaml.composer import Composer
from yaml.resolver import Resolver

DUPLICATE = "found duplicate anchor"  # how PyYAML's message begins


class _Composer(Composer, Resolver):
    """Composes the events of libyaml."""

    def __init__(self, text: bytes) -> None:
        Composer.__init__(self)
        Resolver.__init__(self)
        self._parser = yaml.CSafeLoader(text)
        self.check_event = self._parser.check_event
        self.peek_event = self._parser.peek_event
        self.get_event = self._parser.get_event
        self.dispose = self._parser.dispose

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.NodeEvent) and not isinstance(event, yaml.AliasEvent):
            self.anchors.pop(event.anchor, None)
        return super().compose_node(parent, index)


def compose_first(text: bytes) -> yaml.Node | None:
    """Return the root node of the first YAML document, which is not nested deeply; None if there is none.

    Raises:
        yaml.YAMLError: it is not valid.
    """
    composer = _Composer(text)
    try:
        return composer.get_node() if composer.check_node() else None
    finally:
        composer.dispose()
