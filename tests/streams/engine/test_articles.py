"""Articles: one template a cause, filled from evidence; what comes from outside is shown, and never acted upon."""

import dataclasses

import pytest

from schemas.outputs import Evidence, Finding, FindingState, Severity, Subject
from schemas.rca import Cause, RcaArticle
from streams.engine.articles import articles_of, escaped, html_of, lasting, moment
from streams.engine.runner import Runner
from tests.kit import Log, vm

START_MS = 1_330_473_600_000


def finding(cause: str = "HOST_REBOOT", state: str = "FINAL", **facts: str) -> Finding:
    """Return a statement of a cause."""
    return Finding(
        "f1",
        "root_cause",
        Subject(cluster="c1", vm=facts.pop("vm", "web-1")),
        FindingState.CLOSED if state != "PROVISIONAL" else FindingState.OPEN,
        Severity.INFO,
        START_MS,
        START_MS + 700_000,
        "title",
        evidence=(Evidence(0, 7, "host-agent", "id", 0, 3, START_MS, facts.pop("note", "available again")),),
        numbers={"start_ms": START_MS, "end_ms": START_MS + 605_000, "duration_s": 605.0, "score": 0.95},
        facts={
            "interval": "i1",
            "cause": cause,
            "state": state,
            "revision": "1",
            "planned": "no",
            "server": "s1",
            "signs": "server rebooted",
            "why": "its server was rebooted",
            **facts,
        },
    )


def article(cause: str = "HOST_REBOOT", state: str = "FINAL", **facts: str) -> RcaArticle:
    """Return the article of a statement."""
    (made,) = articles_of(finding(cause, state, **facts))
    return made


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_a_template_that_says_what_when_and_who(cause: str) -> None:
    made = article(cause)
    text = made.markdown

    assert "**web-1** became unavailable at **2012-02-29 00:00:00 (UTC)**" in text
    assert "**2012-02-29 00:10:05 (UTC)**, after 10 min 5 s." in text
    for heading in ("Who caused it", "Root cause", "What is being done", "Recommended steps", "Recommended documents"):
        assert f"## {heading}\n" in text
        body = text.partition(f"## {heading}\n")[2].partition("\n## ")[0].strip()
        assert body, heading
    assert made.properties["articleId"] in text


def test_the_race_in_the_blob_cache_has_the_header_of_its_document() -> None:
    """Seed 000."""
    made = article(detail_cause="BLOB_CACHE_RACE", detail_workflow="WORKFLOW_TIMEOUT", detail_deallocated_vm="v9")

    assert "VMA_RCA_Software_NodeReboot_WorkflowTimeOut_BlobCache_Race_Condition" == made.properties["articleId"]
    assert "UnexpectedVMReboot" == made.properties["diagnosticScenario"]
    assert "race condition in the storage component" in made.markdown
    assert "v9" not in made.markdown, "another tenant's VM is not for this one's owner"
    assert "did not end in time" in made.markdown
    assert "did not end in time" not in article(detail_cause="BLOB_CACHE_RACE").markdown


def test_an_update_of_the_network_agent_has_the_header_of_its_document() -> None:
    """Seed 001."""
    assert ("NmAgentUpdated", "17") == tuple(
        article("NMAGENT_UPDATE", planned="yes").properties[name] for name in ("articleId", "displayOrder")
    )


def test_a_reboot_without_a_reason_names_none() -> None:
    text = article().markdown

    assert "no record says why" in text
    assert "race" not in text
    assert "KERNEL\\_PANIC" in article(detail_cause="KERNEL_PANIC").markdown


@pytest.mark.parametrize(
    ("state", "revision", "said"),
    [
        ("PROVISIONAL", "1", "**Provisional** (revision 1): this may still change. It awaits an operator."),
        ("FINAL", "1", "**Final** (revision 1)."),
        ("REVISED", "2", "**Revised** (revision 2): this replaces what was stated before."),
    ],
)
def test_how_far_it_may_be_relied_upon_is_said_at_the_top(state: str, revision: str, said: str) -> None:
    assert said in article(state=state, revision=revision, awaits="an operator").markdown


def test_what_is_opened_and_final_is_told_once() -> None:
    opened = dataclasses.replace(finding(), state=FindingState.OPEN)

    assert [] == articles_of(opened)
    assert [] == articles_of(dataclasses.replace(finding(), detector="unavailability"))


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "a](https://evil.example)", '"><img src=x onerror=y>', "**b**\n# h"]
)
def test_names_from_outside_are_shown_and_never_acted_upon(name: str) -> None:
    made = article("GUEST_INITIATED", vm=name, detail_process=name, why=name, server=name, note=name)
    page = html_of(made)

    assert "<script" not in page
    assert "<img" not in page
    assert 'href="https://evil' not in page
    assert "\n# h" not in made.markdown
    assert "<h1> h" not in page


def test_html_has_the_article_and_its_links() -> None:
    page = html_of(article())

    assert page.startswith("<!doctype html>")
    assert "<strong>web-1</strong>" in page
    assert '<a href="https://docs.microsoft.com/azure/virtual-machines/maintenance-and-updates">' in page
    assert "<h2>Root cause</h2>" in page
    assert page.count("<ul>") == page.count("</ul>")
    assert "articleId=" not in page


def test_escapes_moments_and_lengths() -> None:
    assert "a\\*b\\<c\\> d" == escaped("a*b<c>\nd")
    assert "2012-02-29 00:00:00" == moment(START_MS + 999)
    assert ["less than a second", "1 min 5 s", "1 h"] == [lasting(ms) for ms in (400, 65_000, 3_600_000)]


def test_the_engine_tells_articles_beside_findings() -> None:
    log = Log().inventory(1).clocks(-1).host(0, "s1", [vm("v1")]).host(60, "s1", [vm("v1", ga="STOPPING")])
    log.host(90, "s1", [vm("v1", 2)]).clocks(151)
    outputs = Runner(0).feed(log.frames)
    told = [output for output in outputs if isinstance(output, RcaArticle)]

    assert [("v1", "UNKNOWN", "FINAL")] == [(made.vm, made.cause, made.state) for made in told]
