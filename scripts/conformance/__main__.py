"""Write the page: `python -m scripts.conformance`."""

from __future__ import annotations

from scripts.conformance.statement import PAGE, page

PAGE.write_text(page(), encoding="utf-8")
