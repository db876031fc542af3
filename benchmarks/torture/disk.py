"""A disk under the databases of a server whose power can be cut, and which can be full.

disk.c stands between the server and the C library: it keeps a copy of each database file and of its
journal that has what was synced, and only that. After a kill the files become that copy, with a
random choice of those sectors that were written later: a disk may have taken any of them.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import attrs

SOURCE = Path(__file__).with_name("disk.c")
SECTOR = 512  # bytes a disk writes whole
ENDINGS = (".db", "-wal", "-journal")


class NoCompiler(Exception):
    """There is no C compiler to make the disk with."""


def missing() -> str | None:
    """Return why there can be no such disk here."""
    return None if shutil.which("cc") else "cc (a C compiler) is not installed"


def build(folder: Path) -> Path:
    """Return the library, made in a folder."""
    if why := missing():
        raise NoCompiler(why)
    library = folder / "disk.so"
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, "-o", str(library), str(SOURCE), "-ldl", "-lpthread"], check=True)
    return library


@attrs.frozen
class Disk:
    """What holds the files of one server."""

    library: Path
    data: Path  # where the server has its databases
    copy: Path  # what of them is durable
    full: Path  # exists while the disk is full
    lies: bool = False  # it promises what it does not keep; to see that somebody notices
    wait: int = 3000  # microseconds that a sync takes longer, as on a disk that turns

    @classmethod
    def make(cls, folder: Path, data: Path, *, lies: bool = False) -> Disk:
        """Return a disk for the databases in `data`, its own files in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(build(folder), data.resolve(), folder / "durable", folder / "full", lies)

    @property
    def environment(self) -> dict[str, str]:
        """What the server has to be started with."""
        return {
            "LD_PRELOAD": str(self.library),
            "TORTURE_FROM": str(self.data),
            "TORTURE_TO": str(self.copy),
            "TORTURE_FULL": str(self.full),
            "TORTURE_WAIT": str(self.wait),
            **({"TORTURE_LIES": "1"} if self.lies else {}),
        }

    def files(self, folder: Path) -> list[str]:
        """Return the names of database files in a folder."""
        return [path.name for path in folder.iterdir() if path.name.endswith(ENDINGS)]

    def mount(self) -> None:
        """Take what is there as durable; before each start of the server."""
        shutil.rmtree(self.copy, ignore_errors=True)
        self.copy.mkdir()
        for name in self.files(self.data) if self.data.exists() else ():
            shutil.copyfile(self.data / name, self.copy / name)

    def cut(self, dice: random.Random) -> int:
        """Lose what was not synced, after the server was killed; return how many bytes that were.

        Either all of it is gone, or each sector by chance.
        """
        chance = dice.choice((0.0, 0.5, 0.9))
        lost = 0
        for name in {*self.files(self.data), *self.files(self.copy)}:
            copy, real = self.copy / name, self.data / name
            durable = copy.read_bytes() if copy.exists() else b""
            written = real.read_bytes() if real.exists() else durable
            after = bytearray(durable)
            for at in range(0, max(len(written), len(durable)), SECTOR):
                sector = written[at : at + SECTOR]
                if sector == durable[at : at + SECTOR]:
                    continue
                if dice.random() < chance:
                    after.extend(bytes(max(0, at + len(sector) - len(after))))
                    after[at : at + len(sector)] = sector
                else:
                    lost += len(sector)
            if after or copy.exists():
                real.write_bytes(after)
            else:
                real.unlink(missing_ok=True)
        for shared in self.data.glob("*-shm"):  # memory, which a power cut leaves nothing of
            shared.unlink()
        return lost

    def fill(self, room: int) -> None:
        """Be full after so many more bytes."""
        unready = self.full.with_suffix(".new")
        unready.write_text(str(room))
        os.replace(unready, self.full)

    def free(self) -> None:
        """Have room again."""
        self.full.unlink(missing_ok=True)
