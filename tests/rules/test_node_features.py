"""XEP-0060 §10: the features that every address with nodes has."""

import re

from imsuite.rules.node_features import FEATURES


def test_features_are_spelled_as_the_registry_has_them():
    """§16.3: each name once."""
    assert len(set(FEATURES)) == len(FEATURES)
    assert all(re.fullmatch(r"http://jabber.org/protocol/pubsub#[a-z-]+", f) for f in FEATURES)


def test_what_the_configuration_needs_is_there():
    """§10: who says multi-items lets max_items be set; config-node-max lets it be "max"."""
    names = {feature.partition("#")[2] for feature in FEATURES}
    assert {"multi-items", "config-node", "config-node-max", "publish-options"} <= names
