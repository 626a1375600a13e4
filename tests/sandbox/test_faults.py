"""The fault switches themselves."""

import pytest
from pydantic import ValidationError

from gateway.sandbox.faults import EXPLAINED, Fault, FaultKind, parse_faults
from gateway.sandbox.sandbox import FAULTS_VARIABLE, Sandbox, UnknownHelpdesk
from gateway.sandbox.switches import Faults


def _armed(*faults: Fault) -> Faults:
    switches = Faults()
    switches.replace(faults)
    return switches


def _doors(switches: Faults, times: int, subject: str = "s") -> list[bool]:
    return [bool(switches.at_the_door(lambda: subject)) for _ in range(times)]


def test_a_count_is_used_up() -> None:
    assert _doors(_armed(Fault(fault=FaultKind.REFUSE, count=2)), 4) == [True, True, False, False]


def test_a_probability_with_a_seed_is_the_same_every_time() -> None:
    fault = Fault(fault=FaultKind.REFUSE, probability=0.5, seed=7)
    first = _doors(_armed(fault), 50)
    assert first == _doors(_armed(fault), 50)
    assert 10 < sum(first) < 40


def test_a_match_hits_only_its_subject_and_does_not_use_up_its_count_on_others() -> None:
    switches = _armed(Fault(fault=FaultKind.REFUSE, match="web01", count=1))
    assert _doors(switches, 3, "Disk full on db01") == [False] * 3
    assert _doors(switches, 2, "Disk full on web01") == [True, False]


def test_a_fault_of_the_commit_is_not_spent_at_the_door() -> None:
    switches = _armed(Fault(fault=FaultKind.COMMIT_THEN_DROP, count=1))
    assert _doors(switches, 3) == [False] * 3
    assert switches.at_the_commit(lambda: "s") is not None
    assert switches.at_the_commit(lambda: "s") is None


def test_slow_goes_together_with_another_fault() -> None:
    switches = _armed(Fault(fault=FaultKind.SLOW), Fault(fault=FaultKind.HTML_ERROR), Fault(fault=FaultKind.REFUSE))
    assert [fault.fault for fault in switches.at_the_door(lambda: "s")] == [FaultKind.SLOW, FaultKind.HTML_ERROR]


def test_the_environment_presets_faults() -> None:
    sandbox = Sandbox(None, environ={FAULTS_VARIABLE: '{"osticket": [{"fault": "slow", "seconds": 2}]}'})
    assert [fault.wait for fault, _, _ in sandbox.osticket.faults.active] == [2.0]


@pytest.mark.parametrize(
    "text", ['{"osticket": [{"fault": "rain"}]}', '{"osticket": [{"fault": "slow", "secs": 1}]}', "x"]
)
def test_a_wrong_preset_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        parse_faults(text)


def test_an_unknown_helpdesk_changes_nothing() -> None:
    sandbox = Sandbox(None, environ={})
    with pytest.raises(UnknownHelpdesk, match="osticketd"):
        sandbox.set_faults({"osticket": [Fault(fault=FaultKind.SLOW)], "osticketd": []})
    assert sandbox.osticket.faults.active == []


def test_every_fault_is_explained() -> None:
    assert set(EXPLAINED) == set(FaultKind)
