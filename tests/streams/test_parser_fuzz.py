"""A little of what `python -m benchmarks.fuzz_parser` does at length (RFC 6120 §13.12)."""

from benchmarks import fuzz_parser


def test_damaged_streams_do_no_harm():
    tally, grown = fuzz_parser.run(5000, seed=1)
    assert tally.inputs == 5000
    assert tally.stanzas > 2500
    assert tally.errors > 1000
    assert tally.ends > 150
    assert tally.slowest < 5
    assert grown < 8192
