"""Plays every dialogue: in memory, with handlers in random order, and over TCP."""

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


@files
def test_over_tcp(file):
    dialogue = load(file)
    features = {word: {} for word in dialogue.features} | dialogue.feature_options
    streams = StreamOptions(**dialogue.stream_options)
    with serve(dialogue.domains, features, streams=streams) as server:
        play(dialogue, server)
    assert server.failures.take() == []
