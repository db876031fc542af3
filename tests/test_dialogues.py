"""Plays every dialogue: in memory, with handlers in random order, over TCP, and on PostgreSQL."""

from pathlib import Path
from random import Random

import pytest

from imsuite.core.hooks import HOOKS
from imsuite.streams.clients import StreamOptions
from imsuite.testing.dialogues import load
from imsuite.testing.memory import MemoryServer
from imsuite.testing.pipes import MemoryStage
from imsuite.testing.players import play
from imsuite.testing.server import serve
from tests.postgres import empty_database

FILES = sorted((Path(__file__).parent / "dialogues").glob("*.txt"))
files = pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])


def play_in_memory(file, prepare=lambda server: None):
    dialogue = load(file)
    server = MemoryServer(
        dialogue.domains,
        ["default", *dialogue.features],
        dialogue.feature_options,
        StreamOptions(**dialogue.stream_options) if dialogue.stream_options else None,
    )
    try:
        prepare(server)
        play(dialogue, MemoryStage(server))
    finally:
        server.stop()
    assert server.failures.take() == []


@files
def test_in_memory(file):
    play_in_memory(file)


@files
@pytest.mark.parametrize("seed", [1, 2])
def test_in_any_order_of_one_stage(file, seed):
    """Architecture §4: handlers of one stage must not depend on each other."""

    def shuffle(server):
        random = Random(seed)
        for host in server.hosts:
            for hook in HOOKS:
                steps = host.switch(hook).steps
                random.shuffle(steps)
                steps.sort(key=lambda step: step.stage)

    play_in_memory(file, shuffle)


def play_over_tcp(file, store):
    dialogue = load(file)
    features = {word: {} for word in dialogue.features} | dialogue.feature_options
    streams = StreamOptions(**dialogue.stream_options)
    with serve(dialogue.domains, features, streams=streams, store=store) as server:
        play(dialogue, server)
    assert server.failures.take() == []


@files
def test_over_tcp(file):
    play_over_tcp(file, "sqlite:///:memory:")


@files
@pytest.mark.needs_postgres
def test_on_postgresql(file):
    """Architecture §8: one SQL for both databases."""
    play_over_tcp(file, empty_database())
