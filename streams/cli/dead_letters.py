"""`leapwatch dead-letters list|show|redrive`: what could not be taken, why, and how it is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.exits import Exit, Failure
from streams.cli.options import ConfigFile, Json, finish, say, say_json, say_rows, settings, to_ms, when

if TYPE_CHECKING:
    from schemas.outputs import DeadLetter
    from streams.config.model import Config

app = typer.Typer(help="List records that could not be taken, show one whole, send some again.")
ReasonFilter = Annotated[str, typer.Option("--reason", help="Only this reason, such as NOT_JSON.")]
TopicFilter = Annotated[str, typer.Option("--topic", help="Only of this source topic.")]
Since = Annotated[str, typer.Option("--since", help="Only stamped at or after this time (ISO or ms, UTC).")]
Until = Annotated[str, typer.Option("--until", help="Only stamped before this time, itself left out (ISO or ms, UTC).")]
Id = Annotated[str, typer.Argument(metavar="ID", help="TOPIC-LANE-OFFSET, as `list` prints it.")]
BYTES_SHOWN = 4_096


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters are meant; empty and None mean any."""

    reason: str = ""
    topic: str = ""
    since_ms: int | None = None
    until_ms: int | None = None
    id: str = ""

    def takes(self, letter: DeadLetter) -> bool:
        """Tell whether this letter is meant."""
        return (
            (not self.reason or letter.reason == self.reason)
            and (not self.topic or letter.topic == self.topic)
            and (self.since_ms is None or letter.at_ms >= self.since_ms)
            and (self.until_ms is None or letter.at_ms < self.until_ms)
            and (not self.id or letter_id(letter) == self.id)
        )

    def open(self) -> bool:
        """Tell whether it takes every letter."""
        return self == Filter()


def letter_id(letter: DeadLetter) -> str:
    """Return where the record stood: its name in every command."""
    return f"{letter.topic}-{letter.lane}-{letter.offset}"


@app.command("list")
def list_all(
    reason: ReasonFilter = "",
    topic: TopicFilter = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Print dead letters, oldest first."""
    wanted = _filter(reason, topic, since, until)
    found = finish(letters(settings(config), wanted))
    shown = found[-limit:]
    if as_json:
        for letter in shown:
            say_json({"id": letter_id(letter), **_about(letter)})
        return Exit.OK
    if shown:
        rows = [(letter_id(each), when(each.at_ms), each.reason, len(each.value or b""), each.detail) for each in shown]
        say_rows(("ID", "AT", "REASON", "BYTES", "DETAIL"), rows)
    say(f"{len(found)} dead letters" + (f", the newest {limit} shown" if len(found) > limit else ""))
    return Exit.OK


@app.command()
def show(id_: Id, config: ConfigFile = None, as_json: Json = False) -> int:
    """Print one dead letter whole: origin, key, headers, reason, and its bytes."""
    letter = _only(finish(letters(settings(config), Filter(id=id_))), id_)
    if as_json:
        import base64

        headers = {name: base64.b64encode(value).decode() for name, value in letter.headers.items()}
        key = None if letter.key is None else base64.b64encode(letter.key).decode()
        value = None if letter.value is None else base64.b64encode(letter.value).decode()
        say_json({"id": id_, **_about(letter), "key_base64": key, "value_base64": value, "headers_base64": headers})
        return Exit.OK
    say(f"{id_}  {letter.reason}\n{letter.detail}\nstamped {when(letter.at_ms)}")
    say(f"key     {_readable(letter.key)}")
    for name, held in sorted(letter.headers.items()):
        say(f"header  {name}: {_readable(held)}")
    say(f"value   {len(letter.value or b'')} bytes")
    say(_readable(letter.value))
    return Exit.OK


@app.command()
def redrive(
    id_: Annotated[str, typer.Argument(metavar="[ID]", help="One letter; else those that the filters take.")] = "",
    reason: ReasonFilter = "",
    topic: TopicFilter = "",
    since: Since = "",
    until: Until = "",
    every: Annotated[bool, typer.Option("--all", help="All there are.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    config: ConfigFile = None,
    as_json: Json = False,
) -> int:
    """Send the same bytes, key and headers to the same topic and lane again: after what was wrong is mended."""
    wanted = _filter(reason, topic, since, until, id_)
    if wanted.open() and not every:
        message = "name an ID, a filter, or --all: every dead letter there ever was would be sent again"
        raise Failure(message)
    sent, void = finish(_redrive(settings(config), wanted, dry_run=dry_run))
    for letter in sent if as_json else []:
        say_json({"id": letter_id(letter), "sent": not dry_run})
    if not as_json:
        left = f"; {void} left out that had neither key nor value" if void else ""
        say(f"{len(sent)} records {'would be sent' if dry_run else 'sent'} again{left}")
    return Exit.OK


async def letters(config: Config, wanted: Filter) -> list[DeadLetter]:
    """Return the dead letters that the filter takes, oldest first; one that the intake wrote twice stands once."""
    from schemas import codec
    from streams.kafka.plain import reader

    found: dict[str, Any] = {}
    async with reader(config) as connected:
        async for record in connected.read(f"{config.kafka.prefix}dead-letters"):
            if record.value is not None:
                letter = codec.decode(record.value)
                if wanted.takes(letter):
                    found[letter_id(letter)] = letter
    return sorted(found.values(), key=lambda each: (each.at_ms, each.topic, each.lane, each.offset))


async def _redrive(config: Config, wanted: Filter, *, dry_run: bool) -> tuple[list[DeadLetter], int]:
    """Send letters again; return those sent, and how many hold nothing that could be sent."""
    from streams.kafka.plain import Outgoing, send

    found = await letters(config, wanted)
    if wanted.id:
        _only(found, wanted.id)
    whole = [each for each in found if each.key is not None or each.value is not None]
    if whole and not dry_run:
        await send(
            config,
            [
                Outgoing(each.topic, each.lane, each.key, each.value, tuple(each.headers.items()), each.at_ms)
                for each in whole
            ],
        )
    return whole, len(found) - len(whole)


def _filter(reason: str, topic: str, since: str, until: str, id_: str = "") -> Filter:
    from schemas.outputs import DeadReason
    from streams.config.problems import did_you_mean

    known = [each.value for each in DeadReason]
    if reason and reason.upper() not in known:
        message = f"--reason: unknown reason `{reason}`{did_you_mean(reason.upper(), known)}"
        raise Failure(message)
    since_ms = to_ms(since, "--since") if since else None
    until_ms = to_ms(until, "--until") if until else None
    return Filter(reason.upper(), topic, since_ms, until_ms, id_)


def _only(found: list[DeadLetter], id_: str) -> DeadLetter:
    if not found:
        message = f"no dead letter {id_}; `leapwatch dead-letters list` names those there are"
        raise Failure(message)
    return found[-1]


def _about(letter: DeadLetter) -> dict[str, Any]:
    return {
        "topic": letter.topic,
        "lane": letter.lane,
        "offset": letter.offset,
        "at_ms": letter.at_ms,
        "reason": letter.reason,
        "detail": letter.detail,
        "bytes": len(letter.value or b""),
    }


def _readable(data: bytes | None) -> str:
    """Return bytes as a terminal can bear them: printable text as it is, else hex; cut where long."""
    if data is None:
        return "(none)"
    cut = data[:BYTES_SHOWN]
    more = f" ... and {len(data) - len(cut)} bytes more (--json has all)" if len(data) > len(cut) else ""
    try:
        text = cut.decode("utf-8")
    except UnicodeDecodeError:
        return cut.hex(" ") + more
    return (text if all(letter.isprintable() or letter in "\n\t" for letter in text) else cut.hex(" ")) + more
