"""Rules tried on a file, as people try them: in a process that can be killed, and by what an import runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydicom import examples

from scandock.rules.privacy import PrivacyRules
from scandock.workers.scrub_trial import ScrubTrials, TrialFailed
from tests.builders import Image, ecat

VARIABLES = {"project": "P", "subject": "S1", "session": "E1"}


@pytest.fixture(scope="module")
def trials() -> Iterator[ScrubTrials]:
    trials = ScrubTrials()
    yield trials
    trials.close()


def rules(*scripts: str, profile: str = "") -> PrivacyRules:
    return PrivacyRules(key=b"k" * 32, scripts=tuple(f'version "6.6"\n{text}' for text in scripts), profile=profile)


def test_nested_elements_are_told_by_their_paths(trials: ScrubTrials) -> None:
    script = '(0008,1115)[0]/(0020,000E) := "1.2.3"\n(0008,1115)[1]/(0020,000E) := "1.2.4"\n- (0008,1115)[1]'
    told = trials.try_rules(rules(script), VARIABLES, Image(case="nested").file())
    effects = [[(row["path"], row["change"], row["after"]) for row in one["effects"]] for one in told["statements"]]
    assert effects[0] == [
        ("(0008,1115)", "added", "1 item"), ("(0008,1115)[0]/(0020,000E)", "added", "1.2.3"),
    ]  # fmt: skip
    assert effects[2] == [("(0008,1115)[1]/(0020,000E)", "removed", "")]
    rows = {row["path"]: row for row in told["rows"]}
    assert (rows["(0008,1115)"]["name"], rows["(0008,1115)"]["after"]) == ("ReferencedSeriesSequence", "2 items")


def test_conditions_and_lists_are_one_statement_each(trials: ScrubTrials) -> None:
    script = (
        'if ((0008,0060) = "MR") {\n(0008,1030) := "A"\n- (0010,0020)\n} else {\n(0008,1030) := "B"\n}\n'
        "removeTags[(0010,0010), (0010,0030)]\necho session"
    )
    image = Image(case="blocks", also={0x00080060: (b"CS", b"MR"), 0x00100030: (b"DA", b"19800101")}).file()
    told = trials.try_rules(rules(script), VARIABLES, image)
    assert [(one["line"], sorted(row["path"] for row in one["effects"])) for one in told["statements"]] == [
        (2, ["(0008,1030)", "(0010,0020)"]), (8, ["(0010,0010)", "(0010,0030)"]), (9, []),
    ]  # fmt: skip
    assert told["statements"][2]["echo"] == ["E1"]


def test_compressed_pixels_are_filled(trials: ScrubTrials) -> None:
    with open(examples.get_path("jpeg2k"), "rb") as file:
        image = file.read()
    fill = 'alterPixels["rectangle", "l=0, t=0, r=9, b=9", "solid", "v=0"]'
    told = trials.try_rules(rules(fill), VARIABLES, image)
    assert told["outcome"] == "scrubbed", told
    rows = {row["path"]: row["change"] for row in told["rows"]}
    assert rows["(7FE0,0010)"] == "changed"


def test_ecat_is_shown_field_by_field(trials: ScrubTrials) -> None:
    told = trials.try_rules(
        rules("(0010,0010) := subject", profile="basic"), VARIABLES, ecat(patient_id=b"P7", patient_name=b"Doe Jane")
    )
    assert told["outcome"] == "scrubbed", told
    rows = {row["path"]: row for row in told["rows"]}
    assert (rows["Main header: patient id"]["before"], rows["Main header: patient id"]["change"]) == ("P7", "changed")
    assert rows["Main header: patient name"]["after"] == "S1"
    assert "ecat_script" in [one["code"] for one in told["warnings"]]


def test_what_takes_too_long_is_killed_and_others_go_on() -> None:
    hurried = ScrubTrials(seconds=0.01)
    with pytest.raises(TrialFailed, match="too long"):
        hurried.try_rules(rules("- (0010,0020)"), VARIABLES, Image(case="late").file())
    hurried.close()
