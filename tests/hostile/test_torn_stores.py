"""Stores in which rows are missing: stock's server writes the rows of one thing one by one, and may die in between."""

import shutil
import sqlite3
from contextlib import closing
from random import Random

import pytest

from tests.hostile.test_every_rpc import attack
from tests.hostile.victim import victim

TRIALS = 12
MISSING = 0.3


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_rows_are_missing_the_daemon_starts(seed, tmp_path):
    rng = Random(seed)
    whole, torn = tmp_path / "whole.sqlite", tmp_path / "torn.sqlite"
    await attack(seed + 3000, store=f"sqlite:///{whole}")
    for _ in range(TRIALS):
        shutil.copy(whole, torn)
        with closing(sqlite3.connect(torn)) as connection:
            for (row,) in connection.execute("SELECT rowid FROM rows").fetchall():
                if rng.random() < MISSING:
                    connection.execute("DELETE FROM rows WHERE rowid = ?", (row,))
            connection.commit()
        async with victim(store=f"sqlite:///{torn}") as it:
            await it.check()
