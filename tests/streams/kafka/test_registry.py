"""The registry client against a real HTTP server on the loopback."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from schemas import avro_files
from schemas.codec import decode_source, encode
from schemas.errors import CodecError, RegistryAway
from schemas.outputs import DeadReason
from schemas.source import Pulse
from streams.kafka import registry
from streams.kafka.registry import HttpRegistry

PULSE = avro_files.read("Pulse")
GUID = bytes.fromhex("0f8fad5bd9cb469fa16570867728950e")


class Server:
    """A registry that answers from a table of paths, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.authorization: str | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                outer.authorization = self.headers.get("Authorization")
                status, body = outer.answers.get(self.path, (404, b'{"error_code": 40403}'))
                if status == 0:
                    return  # hangs up without a word
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name is http.server's
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def answer(self, path: str, schema: Any, **more: Any) -> None:
        """Let the path answer with a schema as registries give it: as text inside JSON."""
        self.answers[path] = (200, json.dumps({"schema": json.dumps(schema), **more}).encode())

    def stop(self) -> None:
        """Stop; its port then refuses."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def test_a_schema_is_found_by_its_id_and_asked_for_once(server: Server) -> None:
    server.answer("/schemas/ids/7", PULSE)
    client = HttpRegistry(server.url + "/")

    assert [PULSE, PULSE] == [client.by_id(7), client.by_id(7)]
    assert client.by_id(7) is client.by_id(7)
    assert ["/schemas/ids/7"] == server.asked


def test_a_schema_is_found_by_its_guid(server: Server) -> None:
    server.answer("/schemas/guids/0f8fad5b-d9cb-469f-a165-70867728950e", PULSE)

    assert PULSE == HttpRegistry(server.url).by_guid(GUID)


def test_a_framed_record_is_read_by_the_registrys_schema(server: Server) -> None:
    server.answer("/schemas/ids/7", PULSE)
    client = HttpRegistry(server.url)
    datum = encode(Pulse("i", 4))[10:]

    assert Pulse("i", 4) == decode_source(b"\x00\x00\x00\x00\x07" + datum, (Pulse,), client)
    with pytest.raises(CodecError) as caught:
        decode_source(b"\x00\x00\x00\x00\x08" + datum, (Pulse,), client)
    assert DeadReason.UNKNOWN_SCHEMA == caught.value.reason


def test_an_id_that_is_not_there_is_asked_again_after_a_hundred_records(server: Server) -> None:
    client = HttpRegistry(server.url)
    answers = [client.by_id(8) for _ in range(registry.ASK_AGAIN + 1)]
    server.answer("/schemas/ids/8", PULSE)

    assert [None] * len(answers) == answers
    assert ["/schemas/ids/8"] == server.asked
    assert PULSE == client.by_id(8)
    assert PULSE == client.by_id(8)


@pytest.mark.parametrize(
    "answer",
    [
        (500, b"{}"),
        (503, b""),
        (401, b"{}"),
        (429, b"{}"),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"\xff"),
        (0, b""),
    ],
    ids=str,
)
def test_any_trouble_is_a_registry_away_and_not_remembered(server: Server, answer: tuple[int, bytes]) -> None:
    server.answers["/schemas/ids/7"] = answer
    client = HttpRegistry(server.url)
    with pytest.raises(RegistryAway, match="/schemas/ids/7"):
        client.by_id(7)
    server.answer("/schemas/ids/7", PULSE)

    assert PULSE == client.by_id(7)


def test_a_registry_that_is_down_is_away() -> None:
    server = Server()
    client = HttpRegistry(server.url)
    server.stop()
    with pytest.raises(RegistryAway, match=server.url):
        client.by_id(7)


@pytest.mark.parametrize(
    "answer",
    [
        {"schema": '"string"'},
        {"schema": "{"},
        {"schema": 7},
        {},
        {"schema": "{}", "schemaType": "PROTOBUF"},
        {"schema": "{}", "references": [{}]},
        {"schema": "{}", "references": 7},
        {"schema": "{}", "references": [{"name": "x", "subject": "gone", "version": 1}]},
        {"schema": '{"type": "record", "fields": [7]}'},
    ],
    ids=str,
)
def test_an_answer_that_no_record_comes_of_is_no_schema(server: Server, answer: dict[str, Any]) -> None:
    """A dead letter can be redriven; a lane that waits for a schema that will never make sense cannot move."""
    server.answers["/schemas/ids/7"] = (200, json.dumps(answer).encode())

    assert HttpRegistry(server.url).by_id(7) is None


def reference(name: str, subject: str, version: int = 1) -> dict[str, Any]:
    return {"name": name, "subject": subject, "version": version}


def test_references_are_put_in_where_they_are_first_named(server: Server) -> None:
    enum = {"type": "enum", "name": "a.Colour", "symbols": ["RED"]}
    shape = {"type": "record", "name": "a.Shape", "fields": [{"name": "colour", "type": "a.Colour"}]}
    kinds = ["null", "a.Shape", {"type": "array", "items": "a.Colour"}]
    whole = {"type": "record", "name": "a.Whole", "fields": [{"name": "x", "type": kinds}]}
    server.answer("/subjects/colour/versions/2", enum)
    server.answer("/subjects/shape%2Fsub/versions/1", shape, references=[reference("a.Colour", "colour", 2)])
    references = [reference("a.Shape", "shape/sub"), reference("a.Colour", "colour", 2)]
    server.answer("/schemas/ids/7", whole, references=references)
    inlined = {"type": "record", "name": "a.Shape", "fields": [{"name": "colour", "type": enum}]}
    expected = ["null", inlined, {"type": "array", "items": "a.Colour"}]

    schema = HttpRegistry(server.url).by_id(7)

    assert schema is not None
    assert expected == schema["fields"][0]["type"]
    assert 3 == len(server.asked)


def test_references_that_go_round_come_to_an_end(server: Server) -> None:
    server.answer("/subjects/s/versions/1", PULSE, references=[reference("a.S", "s")])
    server.answer("/schemas/ids/7", PULSE, references=[reference("a.S", "s")])

    assert PULSE == HttpRegistry(server.url).by_id(7)


def test_references_have_a_limit(server: Server) -> None:
    many = [reference(f"a.S{n}", "s", n) for n in range(registry.REFERENCE_LIMIT + 1)]
    for n in range(registry.REFERENCE_LIMIT + 1):
        server.answer(f"/subjects/s/versions/{n}", "string")
    server.answer("/schemas/ids/7", PULSE, references=many)

    assert HttpRegistry(server.url).by_id(7) is None


def test_the_name_and_password_go_with_each_request(server: Server) -> None:
    HttpRegistry(server.url, user_info="intake:secret").by_id(7)

    assert "Basic " + base64.b64encode(b"intake:secret").decode() == server.authorization


def test_what_is_kept_has_a_limit(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "CACHE_LIMIT", 2)
    client = HttpRegistry(server.url)
    for schema_id in (1, 2, 3):
        server.answer(f"/schemas/ids/{schema_id}", PULSE)
    for schema_id in (1, 2, 1, 3, 1, 2):
        client.by_id(schema_id)

    assert ["1", "2", "3", "2"] == [path[-1] for path in server.asked]


def test_a_url_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="begins with http"):
        HttpRegistry("file:///schemas")
