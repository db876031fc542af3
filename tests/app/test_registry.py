"""Which features there are, and which of them a list of words switches on."""

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from imsuite.app import registry
from imsuite.app.registry import GROUP, NoSuchFeature, all_features, chosen
from imsuite.core.feature import Feature


def words(classes):
    return [cls.word() for cls in classes]


def test_features_of_other_packages_are_found(monkeypatch):
    """docs/writing-a-feature.md: an entry point names the module."""
    module = ModuleType("elsewhere.xep9999_thing")
    body = {"spec": "XEP-9999", "__module__": module.__name__}
    module.Thing = type("Thing", (Feature,), body)
    point = EntryPoint("thing", module.__name__, GROUP)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == GROUP else [])
    assert all_features.__wrapped__()["thing"] is module.Thing


def test_words_switch_features_on_and_off():
    """[hosts.X] use: the last word about a feature counts."""
    default = words(chosen(["default"]))
    assert "ping" in default
    assert words(chosen(["default", "-ping"])) == [word for word in default if word != "ping"]
    assert words(chosen(["-ping", "default"])) == default
    assert words(chosen(["ping", "bind"])) == ["bind", "ping"]  # in order of their numbers
    assert chosen([]) == []


@pytest.mark.parametrize("word", ["pong", "-pong"])
def test_a_wrong_word_is_told_with_the_nearest(word):
    with pytest.raises(NoSuchFeature, match='"pong"; did you mean "ping"'):
        chosen(["default", word])


def test_what_needs_a_feature_goes_with_it():
    """`use = ["default", "-muc"]`: nobody has to know what there is about rooms."""
    words = {cls.word() for cls in chosen(["default", "-muc"])}
    assert "muc" not in words
    assert not {"channels", "occupants", "slowmode"} & words
    assert "archive" in words
    assert "slowmode" in {cls.word() for cls in chosen(["default", "-muc", "slowmode"])}
