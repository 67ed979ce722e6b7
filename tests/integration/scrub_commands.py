"""`scandock` whose imports de-identify, for tests that kill it: run in a fork (`tests.crash.forked`)."""

from __future__ import annotations

from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Policy

SCRIPT = """version "6.1"
(0010,0010) := subject
(0010,0020) := session
(0020,000D) := hashUID[(0020,000D)]
(0020,000E) := hashUID[(0020,000E)]
(0008,0018) := hashUID[(0008,0018)]
"""
RULES = PrivacyRules(key=b"k" * 32, scripts=(SCRIPT,))
EARLY = "\n".join(line for line in SCRIPT.splitlines() if "ject" not in line and "session" not in line)
"""The same without labels, so that it is done as objects are read; patients are removed."""
HIDDEN = PrivacyRules(key=b"k" * 32, policy=Policy(study_uid="drop", patient="drop"))
FILL = 'version "6.6"\nalterPixels["rectangle", "l=0,t=0,r=10,b=10", "solid", "v=7"]\n'
"""A script that needs pixels decoded."""


def main() -> int:
    """The command, with rules for every project."""
    from scandock.cli import main as command
    from scandock.testing.privacy import given_privacy

    with given_privacy(RULES):
        return command()


def early() -> int:
    """The command, with rules for every project that need no label."""
    from scandock.cli import main as command
    from scandock.testing.privacy import given_privacy

    with given_privacy(PrivacyRules(key=RULES.key, scripts=(f"{EARLY}\n- (0010,0010)\n- (0010,0020)\n",))):
        return command()


def hide() -> int:
    """The command, for a site that drops UIDs and patients."""
    from scandock.cli import main as command
    from scandock.testing.privacy import given_privacy

    with given_privacy(HIDDEN):
        return command()


def fill() -> int:
    """The command, with rules that fill an area of every image."""
    from scandock.cli import main as command
    from scandock.testing.privacy import given_privacy

    with given_privacy(PrivacyRules(key=RULES.key, scripts=(SCRIPT, FILL))):
        return command()


def hide_names() -> int:
    """The command, where names of archives, folders and files are dropped."""
    from scandock.cli import main as command
    from scandock.rules.privacy_policy import Policy
    from scandock.testing.privacy import given_privacy

    with given_privacy(PrivacyRules(key=RULES.key, policy=Policy(names="drop"))):
        return command()
