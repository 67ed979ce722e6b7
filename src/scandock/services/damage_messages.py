"""What is told of damage to stored files: figures and a link; names only where the site allows them in messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scandock.web import urls

if TYPE_CHECKING:
    from scandock.services.damage import Figures
    from scandock.services.notify_settings import NotifySettings
    from scandock.services.records import Damage

HOW: Final = {
    "changed": "other bytes than were stored",
    "missing": "gone",
    "unreadable": "can't be read",
    "folder_missing": "the whole folder is gone",
}


def damage_letter(damage: Figures, settings: NotifySettings) -> tuple[str, str]:
    """Subject and text of the e-mail."""
    lines = [
        "Stored files are damaged: they are not what was stored, or can't be read.",
        "",
        f"Files: {damage.files}",
        f"Sessions: {damage.sessions}",
    ]
    if settings.labels:
        lines += [f"- {_name(one)}: {HOW[one.kind]}" for one in damage.named]
        if damage.files > len(damage.named):
            lines.append(f"- and {damage.files - len(damage.named)} more")
    lines += ["", "Look at the disk. Importing the same archives again heals the files."]
    if settings.public_url:
        lines.append(f"{settings.public_url}{damage.page}")
    return "Scandock: stored files are damaged", "\n".join(lines) + "\n"


def damage_payload(damage: Figures, settings: NotifySettings) -> dict[str, Any]:
    """What a webhook is sent."""
    told: dict[str, Any] = {
        "event": "damage.found",
        "files": damage.files,
        "sessions": damage.sessions,
        "found": damage.found,
        "url": f"{settings.public_url}{urls.API_DAMAGE}" if settings.public_url else None,
    }
    if settings.labels:
        told["damage"] = [one.to_json() for one in damage.named]
    return told


def _name(one: Damage) -> str:
    return " / ".join(part for part in (one.project, one.label, one.path) if part)
