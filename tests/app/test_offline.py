"""Work on the store without a server and without a reactor."""

import os

import pytest
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from imsuite.app.config import Config, ConfigError, HostOptions, ServerOptions
from imsuite.app.offline import Turns, at_rest


@pytest.fixture
def made(tmp_path):
    return Config.make(ServerOptions(data=str(tmp_path / "data")))


def test_answers_of_threads_are_waited_for():
    turns, threads = Turns(), ThreadPool(0, 1)
    threads.start()
    assert turns.wait(deferToThreadPool(turns, threads, sum, [1, 2])) == 3
    with pytest.raises(ZeroDivisionError):
        turns.wait(deferToThreadPool(turns, threads, divmod, 1, 0))
    threads.stop()


def test_no_store_is_made_where_none_is_needed(made, tmp_path):
    with at_rest(made, Turns()) as server:
        assert list(server.hosts) == ["localhost"]
    assert list(tmp_path.iterdir()) == []


def test_the_store_is_given_back(made):
    for _ in range(2):
        turns = Turns()
        with at_rest(made, turns) as server:
            server.open_store()
            assert turns.wait(server.hosts["localhost"].users.count()) == 0


def test_a_wrong_feature_is_told(tmp_path):
    hosts = {"localhost": HostOptions(use=("rooster",))}
    config = Config.make(ServerOptions(data=str(tmp_path)), hosts)
    with pytest.raises(ConfigError, match="did you mean"), at_rest(config, Turns()):
        pass


def test_root_leaves_no_files_of_its_own_in_a_directory_of_another(made, tmp_path):
    """The server, which is not root, could not read them."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    (tmp_path / "data").mkdir(mode=0o700)
    os.chown(tmp_path / "data", 65534, 65534)
    with (
        at_rest(made, Turns()) as server,
        pytest.raises(ConfigError, match="belongs to user 65534"),
    ):
        server.open_store()
    assert list((tmp_path / "data").iterdir()) == []
