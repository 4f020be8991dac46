"""The numbers of a verification."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from function.reconciliation.comparison import Kind
from function.reconciliation.failures import Failure
from function.reconciliation.findings import UNSETTLED, Drift, Findings

FAILURE = Failure("k", "cause")


def drift(kind: Kind, **more: Any) -> Drift:
    return Drift(kind, "b", "k", None, None, **more)


found = st.one_of(
    st.sampled_from(Kind).map(drift),
    st.sampled_from(Kind).map(lambda kind: drift(kind, repaired=True)),
    st.sampled_from(Kind).map(lambda kind: drift(kind, failure=Failure("k", "c", kind=kind))),
    st.just(FAILURE),
    st.just(Failure("k", "cause", kind=UNSETTLED)),
)


@given(st.lists(found))
def test_every_key_is_counted_once(kept: list[Drift | Failure]) -> None:
    findings = Findings(compared=len(kept) + 3)
    for one in kept:
        findings.add(one, "")

    summary = json.loads(findings.as_json())

    unread = sum(one == FAILURE for one in kept)
    unrepaired = sum(isinstance(one, Drift) and one.failure is not None for one in kept)
    assert findings.equal == 3
    assert summary["compared"] == sum(summary["drift"].values()) + summary["unsettled"] + unread + 3
    assert summary.get("failed", 0) == unread + unrepaired
    assert summary["repaired"] == sum(isinstance(one, Drift) and one.repaired for one in kept)
    # A resumed run counts from there.
    assert Findings.of(json.loads(json.dumps(findings.counts))).counts == findings.counts


@given(st.lists(found), found)
def test_a_retried_key_is_removed_from_the_counts(
    kept: list[Drift | Failure], last: Drift | Failure
) -> None:
    findings = Findings(compared=len(kept) + 1)
    for one in kept:
        findings.add(one, "")
    before = findings.counts
    failure = last if isinstance(last, Failure) else last.failure
    if failure is None:
        return

    findings.add(last, "")
    assert findings.counts != before
    findings.take_back(failure)

    assert findings.counts == before


def test_a_drift_says_why_it_was_not_repaired() -> None:
    line = json.loads(drift(Kind.PHANTOM, failure=FAILURE).as_json())

    assert line == {
        "kind": "phantom",
        "bucket": "b",
        "key": "k",
        "repaired": False,
        "cause": "cause",
    }
