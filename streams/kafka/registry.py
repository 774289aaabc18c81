"""Writers' schemas from a Confluent-compatible schema registry, over HTTP.

The calls block (for at most `timeout_s` each): an event loop asks from a thread. What the registry said once of an id
stands for ever, since registries never change a schema under its id; that an id is not there is asked again after
`ASK_AGAIN` records, so that a flood of bad records does not become a flood of requests, and no clock is read.
"""

from __future__ import annotations

import base64
import json
import threading
from collections import OrderedDict
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import Request, build_opener

from schemas.avro_files import Schema
from schemas.errors import RegistryAway

CACHE_LIMIT = 1024
"""Schemas kept; the one asked for the longest ago goes first."""
ASK_AGAIN = 100
ANSWER_LIMIT_BYTES = 4 << 20
REFERENCE_LIMIT = 64
"""Schemas that one schema may draw in by reference."""
NOT_FOUND = 404


class HttpRegistry:
    """A schema registry at `url`; `user_info` is `name:password` for basic authentication."""

    def __init__(self, url: str, *, timeout_s: float = 2.0, user_info: str | None = None) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"schema registry {url!r}: a URL begins with http:// or https://")
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._headers = {"Accept": "application/vnd.schemaregistry.v1+json, application/json"}
        if user_info is not None:
            self._headers["Authorization"] = "Basic " + base64.b64encode(user_info.encode()).decode()
        self._opener = build_opener()
        self._known: OrderedDict[str, Schema] = OrderedDict()
        self._unknown: OrderedDict[str, int] = OrderedDict()
        # Intake threads share one registry: one asks, the others wait for its answer.
        self._lock = threading.Lock()

    def by_id(self, schema_id: int) -> Schema | None:
        """Return the schema with this id, None where the registry has none; RegistryAway where it does not say."""
        return self._schema(f"/schemas/ids/{schema_id}")

    def by_guid(self, guid: bytes) -> Schema | None:
        """Return the schema with this GUID, None where the registry has none; RegistryAway where it does not say."""
        text = guid.hex()
        return self._schema(f"/schemas/guids/{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")

    def _schema(self, path: str) -> Schema | None:
        with self._lock:
            if (known := self._known.get(path)) is not None:
                self._known.move_to_end(path)
                return known
            if self._unknown.get(path, 0) > 0:
                self._unknown[path] -= 1
                return None
            answer = self._get(path)
            schema = None if answer is None else self._whole(answer)
            if schema is None:
                self._unknown[path] = ASK_AGAIN
                _bound(self._unknown)
            else:
                self._unknown.pop(path, None)
                self._known[path] = schema
                _bound(self._known)
            return schema

    def _whole(self, answer: dict[str, Any]) -> Schema | None:
        """Return the schema of an answer with what it refers to put in; None for one that no Avro record comes of.

        An answer that makes no sense will make none tomorrow: better a dead letter, which can be redriven, than a lane
        that waits for ever.
        """
        if answer.get("schemaType", "AVRO") != "AVRO":
            return None
        try:
            definitions: dict[str, Any] = {}
            self._collect(answer, definitions, ())
            schema = _inlined(json.loads(answer["schema"]), definitions, set())
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
            return None
        return schema if isinstance(schema, dict) else None

    def _collect(self, answer: dict[str, Any], definitions: dict[str, Any], trail: tuple[str, ...]) -> None:
        """Fetch the schemas that an answer refers to, and those that they refer to."""
        for reference in answer.get("references") or ():
            name = reference["name"]
            if name in definitions or name in trail:
                continue
            if len(definitions) + len(trail) >= REFERENCE_LIMIT:
                raise ValueError(f"more than {REFERENCE_LIMIT} references")
            referred = self._get(f"/subjects/{quote(reference['subject'], safe='')}/versions/{reference['version']}")
            if referred is None:
                raise LookupError(name)
            self._collect(referred, definitions, (*trail, name))
            definitions[name] = json.loads(referred["schema"])

    def _get(self, path: str) -> dict[str, Any] | None:
        request = Request(self._url + path, headers=self._headers)  # noqa: S310 -- the scheme is checked in __init__
        try:
            with self._opener.open(request, timeout=self._timeout_s) as response:
                answer = json.loads(response.read(ANSWER_LIMIT_BYTES))
        except HTTPError as error:
            error.close()
            if error.code == NOT_FOUND:
                return None
            raise RegistryAway(f"{self._url}{path}: HTTP {error.code} {error.reason}") from error
        except (OSError, HTTPException, ValueError) as error:
            raise RegistryAway(f"{self._url}{path}: {error}") from error
        if not isinstance(answer, dict):
            raise RegistryAway(f"{self._url}{path}: an answer that is no JSON object")
        return answer


def _inlined(node: Any, definitions: dict[str, Any], seen: set[str]) -> Any:
    """Return the schema with each referred name defined where it is first used."""
    if isinstance(node, str):
        if node in definitions and node not in seen:
            seen.add(node)
            return _inlined(definitions[node], definitions, seen)
        return node
    if isinstance(node, list):
        return [_inlined(branch, definitions, seen) for branch in node]
    whole = dict(node)
    for key in ("type", "items", "values"):
        if key in node:
            whole[key] = _inlined(node[key], definitions, seen)
    if "fields" in node:
        whole["fields"] = [{**field, "type": _inlined(field["type"], definitions, seen)} for field in node["fields"]]
    return whole


def _bound(cache: OrderedDict[str, Any]) -> None:
    while len(cache) > CACHE_LIMIT:
        cache.popitem(last=False)
