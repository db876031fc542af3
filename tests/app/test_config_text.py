"""The sample file and the reference say what the classes say (§9)."""

import re
import tomllib
from collections.abc import Mapping

import attrs
import pytest

from imsuite.app.config import Config, PythonName
from imsuite.app.config_text import options_markdown, toml, write_commented
from imsuite.app.configuration import parse
from imsuite.core.options import ge, one_of, option


@attrs.frozen
class Options:
    longest: int = option(1000, "Most addresses.", ge(1), live=True)
    mode: str = option("a|b", "How.", one_of("a|b", "hard"))
    place: str | None = option(None, "Where.", example="here")
    words: Mapping[str, int] = option({"a b": 1}, "By name.")


@attrs.frozen
class NoOptions:
    pass


FEATURES = {"blocking": Options, "version": NoOptions}
TABLES = {"streams": Options}


def test_the_sample_file_changes_nothing():
    config = parse(write_commented(FEATURES, TABLES).encode(), "x", FEATURES, TABLES)
    assert attrs.evolve(config, file=None) == Config.default(FEATURES, TABLES)


def test_every_line_of_the_sample_file_can_be_taken_into_use():
    text = re.sub(r"(?m)^#(?! )", "", write_commented(FEATURES, TABLES))
    config = parse(text.encode(), "x", FEATURES, TABLES)
    assert config.feature_options["localhost"]["blocking"] == Options(place="here")
    assert list(config.services) == ["echo.localhost"]


def test_the_sample_file_is_easy_to_read():
    text = write_commented(FEATURES, TABLES)
    live = "Changes take effect without a restart."
    assert f"# Most addresses. At least 1. {live}\n#longest = 1000\n" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "version" not in re.sub('"-version"', "", text)


def test_the_reference_names_every_option():
    text = options_markdown(FEATURES, TABLES)
    assert "| `longest` | a whole number | `1000` | Most addresses. At least 1. *live* |" in text
    assert r"`\"a\|b\"`".replace(r"\"", '"') in text
    for header in ("[server]", "[streams]", "[features.blocking]", '[hosts."localhost"]'):
        assert f"## `{header}`" in text


@pytest.mark.parametrize(
    "value", [True, 7, 0.5, 'q"u\\o\nte\x7f', "ü", [1, ["a"]], {"a b": {"c": 1}}, {}]
)
def test_values_are_written_as_toml_reads_them(value):
    assert tomllib.loads(f"x = {toml(value)}")["x"] == value


def test_options_inside_options_are_written_as_short_as_can_be():
    assert toml((PythonName("a"),)) == '["a"]'
    assert toml(PythonName("a", (1,))) == '{ name = "a", arguments = [1] }'
