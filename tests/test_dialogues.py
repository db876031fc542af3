"""Plays every dialogue, in memory and over TCP."""

from pathlib import Path
from random import Random

import pytest

from imsuite.core.hooks import HOOKS
from imsuite.testing.dialogues import load
from imsuite.testing.memory import MemoryServer
from imsuite.testing.pipes import MemoryStage
from imsuite.testing.players import play
from imsuite.testing.server import serve

FILES = sorted((Path(__file__).parent / "dialogues").glob("*.txt"))
files = pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])


@files
def test_in_memory(file):
    dialogue = load(file)
    server = MemoryServer(
        dialogue.domains, ["default", *dialogue.features], dialogue.feature_options
    )
    try:
        play(dialogue, MemoryStage(server))
    finally:
        server.stop()
    assert server.failures.take() == []


@files
@pytest.mark.parametrize("seed", [1, 2])
def test_in_any_order_of_one_stage(file, seed):
    """Architecture §4: handlers of one stage must not depend on each other."""
    dialogue = load(file)
    server = MemoryServer(
        dialogue.domains, ["default", *dialogue.features], dialogue.feature_options
    )
    shuffle = Random(seed).shuffle
    for host in server.hosts:
        for hook in HOOKS:
            steps = host.switch(hook).steps
            shuffle(steps)
            steps.sort(key=lambda step: step.stage)
    try:
        play(dialogue, MemoryStage(server))
    finally:
        server.stop()
    assert server.failures.take() == []


@files
def test_over_tcp(file):
    dialogue = load(file)
    features = {word: {} for word in dialogue.features} | dialogue.feature_options
    with serve(dialogue.domains, features) as server:
        play(dialogue, server)
    assert server.failures.take() == []
