"""The line of every key, table and item is found, however TOML writes it."""

import tomllib

import pytest

from imsuite.app.toml_lines import lines

DOCUMENT = '''\
# a comment with [brackets] and "quotes
title = "a # in text" # after
a.b."c.d" = 1
a . "b" . e = 2

[server]
listen = [
    "c2s:5222", # ] first
    # "none"
    [1, 2,
     3], "[x]",
]
text = """
[not.a.table]
x = 1 \\"""
"""""
raw = \'\'\'
y = \\
\'\'\'
when = 1979-05-27 07:32:00
after = true

[ hosts . "example.org" ]
use = { name = "x", deep = { er = [ 1, { z = 2 } ] }, t.u = 3 } # }
"quoted \\u0061" = 'lit\\'
[hosts."example.org".features.blocking]
longest = -1e3
[[offers]]
host = "a"
[offers.sub]
x = 1
[[offers.list]]
y = 1
[[offers.list]]
y = 2
[[offers]]
host = "b"
[offers.sub]
x = 2
empty = []
also = {}
'''

EXPECTED = {
    ("title",): 2,
    ("a",): 3,
    ("a", "b", "c.d"): 3,
    ("a", "b", "e"): 4,
    ("server",): 6,
    ("server", "listen"): 7,
    ("server", "listen", 0): 8,
    ("server", "listen", 1): 10,
    ("server", "listen", 1, 2): 11,
    ("server", "listen", 2): 11,
    ("server", "text"): 13,
    ("server", "raw"): 17,
    ("server", "when"): 20,
    ("server", "after"): 21,
    ("hosts",): 23,
    ("hosts", "example.org"): 23,
    ("hosts", "example.org", "use", "deep", "er", 1, "z"): 24,
    ("hosts", "example.org", "use", "t", "u"): 24,
    ("hosts", "example.org", "quoted a"): 25,
    ("hosts", "example.org", "features", "blocking"): 26,
    ("hosts", "example.org", "features", "blocking", "longest"): 27,
    ("offers", 0): 28,
    ("offers", 0, "host"): 29,
    ("offers", 0, "sub", "x"): 31,
    ("offers", 0, "list", 1, "y"): 35,
    ("offers", 1): 36,
    ("offers", 1, "sub", "x"): 39,
    ("offers", 1, "sub", "also"): 41,
}


def paths(value, path=()):
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from paths(item, (*path, place))


def test_every_path_of_a_document_is_found_and_no_other():
    assert set(lines(DOCUMENT)) == set(paths(tomllib.loads(DOCUMENT)))


@pytest.mark.parametrize("path", EXPECTED, ids=str)
def test_lines_are_right(path):
    assert lines(DOCUMENT)[path] == EXPECTED[path]


@pytest.mark.parametrize("text", ["", "\n", "# only", "x = 1", "[a]", "x = '''\n'''''\ny = 1"])
def test_short_documents(text):
    assert set(lines(text)) == set(paths(tomllib.loads(text)))
