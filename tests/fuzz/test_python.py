"""What Python passes in: made-up values and addresses. `make fuzz` tries a thousand times as many."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from redember import Messages, RedisBackend
from redember.errors import RedemberError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.characters()
    | st.binary(max_size=4)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4)
        | st.tuples(inner)
    ),
    max_leaves=20,
)
SECRET = "hunter2"


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=4))
def test_a_message_is_stored_as_json_stores_it_or_refused(message: dict[str, Any]) -> None:
    """Whatever is taken is what Python's own `json` makes of it."""
    try:
        stored = Messages([message])
    except RedemberError:
        return
    expected = json.loads(json.dumps(message, allow_nan=False, ensure_ascii=False))
    assert json.loads(stored.to_json()) == [expected]
    assert stored.to_dicts() == [expected]


PIECES = st.sampled_from(
    [
        *(
            [
                "redis",
                "rediss",
                "redis+cluster",
                "redis+sentinel",
                "unix",
                "valkey",
                "http",
                "://",
                ":",
                "@",
                "/",
                "?",
                "#",
                "&",
                "=",
                ",",
                ".",
                "[",
                "]",
                "%",
            ]
        ),
        *(
            [
                "localhost",
                "127.0.0.1",
                "::1",
                "6379",
                "0",
                "-1",
                "99999",
                "ttl=1h",
                "prefix=x",
                "timeout=1",
                "db=2",
                "tls=1",
            ]
        ),
        *(
            [
                "cluster=true",
                "%00",
                "%zz",
                "\\",
                "\n",
                "\x00",
                "é",
                "🙂",
                "�",
                "ca_file=/x",
                "verify=false",
            ]
        ),
        SECRET,
    ]
)


@given(st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join))
def test_an_address_is_a_backend_or_a_typed_error_that_quotes_no_secret(text: str) -> None:
    refusal = ""
    try:
        backend = RedisBackend(text)
    except RedemberError as error:
        refusal = str(error)
    assert f":{SECRET}@" not in refusal
    if refusal:
        return
    assert repr(backend).startswith("RedisBackend(")
    if backend.options.password is not None and SECRET in backend.options.password:
        assert SECRET not in repr(backend).replace(str(backend.options.username), "")
