"""A batch for SQLite leaves what its writes leave, one after the other."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_gcs.store.base import Write
from trio_gcs.store.sqlite import connect
from trio_gcs.store.sqlite_batch import _TOGETHER_BYTES_MAX, write_batch

WRITES = st.lists(
    st.builds(
        Write,
        st.sampled_from(["NODE", "KV"]),
        st.integers(0, 150).map(lambda number: b"%d" % number),
        st.one_of(st.none(), st.binary(max_size=3)),
    ),
    max_size=200,
)


def rows_in(connection):
    return list(connection.execute('SELECT "table", "key", "value" FROM rows ORDER BY rowid'))


@pytest.fixture
def connection(tmp_path):
    with closing(connect(tmp_path / "store")) as connection:
        yield connection


@given(batches=st.lists(WRITES, max_size=3))
def test_rows_are_what_the_last_write_of_each_says_in_the_order_of_their_making(tmp_path_factory, batches):
    rows = {}
    with closing(connect(tmp_path_factory.mktemp("batch") / "store")) as connection:
        for revision, writes in enumerate(batches, 1):
            write_batch(connection, writes, revision)
            for table, key, value in writes:
                if value is None:
                    rows.pop((table, key), None)
                else:
                    rows[table, key] = value
        assert rows_in(connection) == [(*at, value) for at, value in rows.items()]
        assert connection.execute("SELECT revision FROM ledger").fetchone() == (len(batches),)


def test_large_values_are_put_one_by_one(connection):
    statements = []
    connection.set_trace_callback(statements.append)
    large = bytes(_TOGETHER_BYTES_MAX // 2)
    write_batch(connection, [Write("KV", b"%d" % number, large) for number in range(4)], 1)
    assert len([statement for statement in statements if statement.startswith("INSERT")]) == 4
    assert [value for _, _, value in rows_in(connection)] == [large] * 4


def test_a_batch_that_fails_leaves_nothing(connection):
    write_batch(connection, [Write("KV", b"key", b"value")], 1)
    with pytest.raises(sqlite3.IntegrityError):
        write_batch(connection, [Write("KV", b"key", None), Write("KV", None, b"new")], 2)
    assert rows_in(connection) == [("KV", b"key", b"value")]
