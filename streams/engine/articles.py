"""Makes of each statement of a root cause an article for the owner of the VM: Markdown by template, and safe HTML.

Pure. One template a cause, in `rca/` beside this file. All that is put into a template is escaped: the names of VMs,
processes and rollouts come from outside.
"""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from schemas.outputs import Evidence, Finding, FindingState
from schemas.rca import ArticleState, Cause, RcaArticle

DETECTOR = "root_cause"
BLOB_RACE = "BLOB_CACHE_RACE"
_COMMON = {
    "service": "microsoft.compute",
    "resource": "virtualmachines",
    "resourceTags": "windows, linux",
    "selfHelpType": "rca",
    "cloudEnvironments": "public, Fairfax, usnat, ussec",
    "ownershipId": "Compute_VirtualMachines_Content",
    "authors": "leapwatch",
    "displayOrder": "",
    "supportTopicIds": "",
    "productPesIds": "",
}
_RACE = {
    "articleId": "VMA_RCA_Software_NodeReboot_WorkflowTimeOut_BlobCache_Race_Condition",
    "diagnosticScenario": "UnexpectedVMReboot",
    "pageTitle": "VMA RCA",
    "description": "RCA - Software NodeReboot - Workflow TimeOut - Blob Cache Race Condition",
    "infoBubbleText": "Found recent reboot. See details on the right.",
}
"""Source: the header of seed 000."""
_NMAGENT = {
    "articleId": "NmAgentUpdated",
    "diagnosticScenario": "NmAgentUpdated",
    "pageTitle": "Physical host node underwent regular maintenance update recently",
    "description": "The physical host node was undergoing a regular maintenance of the networking stack. This impacted "
    "connectivity briefly.",
    "infoBubbleText": "Networking stack maintenance. See details on the right",
    "selfHelpType": "resource",
    "displayOrder": "17",
    "ownershipId": "CloudNet_AzureVPNGateway",
}
"""Source: the header of seed 001."""
_MARKED = re.compile(r"[\\`*_\[\]|<>&~]|^[#+-]")
_INLINE = re.compile(r"\\(?P<char>.)|\*\*(?P<bold>.+?)(?<!\\)\*\*|\[(?P<text>[^\]]+)\]\((?P<link>https://[^)\s]+)\)")


class Safe(str):
    """Text of our own: it is put into an article as it stands."""

    __slots__ = ()


def escaped(value: object) -> str:
    """Return text as Markdown shows it, whatever it holds; control characters become spaces."""
    if isinstance(value, Safe):
        return value
    plain = "".join(char if char.isprintable() else " " for char in str(value))
    return _MARKED.sub(lambda found: f"\\{found.group()}", plain)


@cache
def _environment() -> Environment:
    """Return the templates: read once."""
    # Markdown is escaped by `finalize`; HTML is made, and escaped, from the Markdown.
    made = Environment(  # noqa: S701
        loader=PackageLoader("streams.engine", "rca"),
        undefined=StrictUndefined,
        finalize=escaped,
        keep_trailing_newline=True,
    )
    made.filters["whole"] = Safe  # what a template took over from the one that it extends is escaped already
    made.filters["attribute"] = lambda value: Safe(html.escape(str(value).replace("\n", " "), quote=True))
    return made


def articles_of(finding: Finding) -> list[RcaArticle]:
    """Return the article of a statement of root_cause; nothing of other findings.

    An opening that is final is followed by its closing in the same frame: that one is the article.
    """
    if finding.detector != DETECTOR or "cause" not in finding.facts:
        return []
    facts, numbers = finding.facts, finding.numbers
    final = facts["state"] != ArticleState.PROVISIONAL
    if finding.state == FindingState.OPEN and final:
        return []
    cause = facts["cause"]
    article = RcaArticle(
        id=facts["interval"],
        vm=finding.subject.vm or "",
        cluster=finding.subject.cluster or "",
        server=facts["server"],
        start_ms=int(numbers["start_ms"]),
        end_ms=int(numbers.get("end_ms", 0)),
        cause=cause,
        planned=facts["planned"] == "yes",
        state=facts["state"],
        revision=int(facts["revision"]),
        at_ms=finding.at_ms,
        finding_ids=(facts["interval"], finding.id),
        properties=_properties(finding),
    )
    text = _environment().get_template(f"{cause}.md.j2").render(_values(article, finding))
    return [RcaArticle(**{**_fields(article), "markdown": text.rstrip() + "\n"})]


def _fields(article: RcaArticle) -> dict[str, Any]:
    return {name: getattr(article, name) for name in article.__dataclass_fields__}


def _properties(finding: Finding) -> dict[str, str]:
    """Return the header; that of the two seeds where it is their case."""
    facts = finding.facts
    cause = facts["cause"]
    words = cause.replace("_", " ").capitalize()
    own = {
        "articleId": f"Leapwatch_RCA_{cause}",
        "diagnosticScenario": "UnexpectedVMReboot" if facts["planned"] == "no" else "PlannedMaintenance",
        "pageTitle": f"RCA - {words}",
        "description": f"RCA - {words}",
        "infoBubbleText": "A recent interval without availability. See details on the right.",
    }
    if cause == Cause.NMAGENT_UPDATE:
        own = _NMAGENT
    elif cause == Cause.HOST_REBOOT and facts.get("detail_cause") == BLOB_RACE:
        own = _RACE
    standing = {"articleState": facts["state"], "articleRevision": facts["revision"]}
    return {**_COMMON, **own, **standing}


def _values(article: RcaArticle, finding: Finding) -> dict[str, Any]:
    facts = finding.facts
    detail = {name: facts.get(f"detail_{name}", "") for name in ("workflow", "rollout", "process", "signature")}
    detail |= {name: facts.get(f"detail_{name}", "") for name in ("to_server", "result_code")}
    why = facts["why"]
    return {
        **detail,
        "properties": article.properties,
        "standing": Safe(_standing(article, facts)),
        "vm": article.vm,
        "server": article.server,
        "start": Safe(moment(article.start_ms)),
        "end": Safe(moment(article.end_ms) if article.end_ms else ""),
        "lasted": Safe(lasting(article.end_ms - article.start_ms)),
        "planned": article.planned,
        "race": facts.get("detail_cause") == BLOB_RACE,
        "reason": facts.get("detail_cause") or facts.get("detail_reason") or facts.get("detail_workflow") or "",
        "why": why,
        "runners_up": facts.get("runners_up", ""),
    }


def _standing(article: RcaArticle, facts: dict[str, str]) -> str:
    if article.state == ArticleState.PROVISIONAL:
        awaits = f" It awaits {escaped(facts['awaits'])}." if facts.get("awaits") else ""
        return f"**Provisional** (revision {article.revision}): this may still change.{awaits}"
    if article.state == ArticleState.REVISED:
        return f"**Revised** (revision {article.revision}): this replaces what was stated before."
    return f"**Final** (revision {article.revision})."


def moment(at_ms: int) -> str:
    """Return a stamp in UTC, to the second."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d %H:%M:%S}"


def lasting(for_ms: int) -> str:
    """Return a length of time as people say it."""
    seconds = max(0, round(for_ms / 1000))
    hours, rest = divmod(seconds, 3600)
    parts = ((hours, "h"), (rest // 60, "min"), (rest % 60, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "less than a second"


def cited(known: Evidence) -> str:
    """Return a record that a statement stands on: when, what, and where it is found."""
    source = f"{known.topic}/{known.lane}@{known.source_offset}" if known.topic else "telemetry"
    return f"{moment(known.at_ms)} {known.note or 'record'} ({source}; telemetry {known.partition}@{known.offset})"


def html_of(article: RcaArticle) -> str:
    """Return the article as HTML; everything is escaped, and only links of our own templates become links."""
    body = article.markdown.partition("/>\n")[2]
    parts: list[str] = []
    listed = False
    for line in body.splitlines():
        item = line.startswith("* ")
        if listed and not item:
            parts.append("</ul>")
        elif item and not listed:
            parts.append("<ul>")
        listed = item
        level = len(line) - len(line.lstrip("#"))
        if item:
            parts.append(f"<li>{_inline(line[2:])}</li>")
        elif level:
            parts.append(f"<h{level}>{_inline(line[level:].strip())}</h{level}>")
        elif line.strip():
            parts.append(f"<p>{_inline(line)}</p>")
    if listed:
        parts.append("</ul>")
    title = html.escape(article.properties.get("pageTitle", "RCA"))
    head = f'<meta charset="utf-8"><title>{title}</title>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _inline(text: str) -> str:
    """Return a line of our Markdown as HTML: escapes, bold and links; the rest is text."""
    made, place = [], 0
    for found in _INLINE.finditer(text):
        made.append(html.escape(text[place : found.start()]))
        if found["char"] is not None:
            made.append(html.escape(found["char"]))
        elif found["bold"] is not None:
            made.append(f"<strong>{_inline(found['bold'])}</strong>")
        else:
            made.append(f'<a href="{html.escape(found["link"], quote=True)}">{_inline(found["text"])}</a>')
        place = found.end()
    return "".join([*made, html.escape(text[place:])])
