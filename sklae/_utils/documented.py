"""Links from an estimator's HTML to its page of the documentation."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

__all__ = ["Documented"]


class Documented:
    """Says where scikit-learn's HTML of an estimator finds its page: at the address the package's metadata names.

    Without such an address, ``Documentation`` among the ``[project.urls]``, there is no link.
    """

    _doc_link_module = "sklae"

    @property
    def _doc_link_template(self) -> str:
        address = documentation_address()
        return f"{address}/generated/{{estimator_module}}.{{estimator_name}}.html" if address else ""


@cache
def documentation_address() -> str:
    """Return the documentation's address, without a slash at its end; "" where none is known."""
    try:
        addresses = metadata("sklae").get_all("Project-URL") or []
    except PackageNotFoundError:
        addresses = []
    known = {
        label.strip().lower(): address.strip() for label, _, address in (each.partition(",") for each in addresses)
    }
    return known.get("documentation", "").rstrip("/")
