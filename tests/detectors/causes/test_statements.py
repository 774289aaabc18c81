"""statements: what a finding of root_cause says."""

from detectors.causes.candidates import Candidate, Case, Clue, Conclusion
from detectors.causes.statements import statement, text_of
from schemas.outputs import Evidence

HERE = Evidence(0, 1, note="its start")
CASE = Case("v1", "s1", 1_330_473_600_000, 1_330_473_900_000, 1_330_473_960_000, ("stopped", "server rebooted"))
REBOOT = Clue("reboot", 1, 2, Evidence(0, 2), facts={"workflow": "WORKFLOW_TIMEOUT"})
BEST = Candidate(
    "HOST_REBOOT", 0.95, "its server was rebooted", (REBOOT,), facts={"workflow": "WORKFLOW_TIMEOUT", "cause": "X"}
)
OTHER = Candidate("HARDWARE", 0.4, "it was old")


def test_a_title_says_what_where_how_long_since_when_and_why() -> None:
    said = statement("i1", CASE, Conclusion(BEST, (OTHER,)), "FINAL", 1, "", (HERE,))

    assert (
        "VM v1 on s1 was not available for 300 s since 2012-02-29 00:00:00Z: HOST_REBOOT (WORKFLOW_TIMEOUT, X)"
        == said["title"]
    )
    assert "Its server was rebooted. Unplanned. Also weighed: HARDWARE 0.40: it was old." == said["explanation"]
    assert ["its start", "reboot WORKFLOW_TIMEOUT"] == [known.note for known in said["evidence"]]
    assert (0.95, 0.4) == (said["numbers"]["score"], said["numbers"]["score_HARDWARE"])


def test_what_is_provisional_says_so_and_what_it_awaits() -> None:
    said = statement("i1", CASE, Conclusion(BEST), "PROVISIONAL", 1, "an operator", (HERE,))

    assert ": provisionally, HOST_REBOOT" in said["title"]
    assert "Provisional: it awaits an operator." in said["explanation"]


def test_a_conclusion_differs_by_cause_details_and_what_it_awaits_but_not_by_scores() -> None:
    text = text_of(Conclusion(BEST), "")

    assert text == text_of(Conclusion(Candidate(BEST.cause, 0.9, BEST.why, facts=BEST.facts)), "")
    assert text != text_of(Conclusion(BEST), "an operator")
    assert text != text_of(Conclusion(Candidate(BEST.cause, 0.95, BEST.why, facts={"cause": "Y"})), "")
