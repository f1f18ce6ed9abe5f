"""Links of estimators to their pages."""

from __future__ import annotations

from email.message import Message

import pytest

from sklae import AEImputer, AEOutlierDetector, AutoencoderTransformer, VAETransformer
from sklae._utils import documented
from sklae.networks import Conv
from sklae.priors import VampPrior

PAGES = {
    "generated/sklae.AEImputer.html": AEImputer(),
    "generated/sklae.AEOutlierDetector.html": AEOutlierDetector(),
    "generated/sklae.AutoencoderTransformer.html": AutoencoderTransformer(),
    "generated/sklae.VAETransformer.html": VAETransformer(),
    "generated/sklae.networks.Conv.html": Conv(),
    "generated/sklae.priors.VampPrior.html": VampPrior(),
}


@pytest.fixture
def address(monkeypatch):
    """Set the addresses that the package's metadata name."""

    def set_to(*urls):
        found = Message()
        for url in urls:
            found["Project-URL"] = url
        monkeypatch.setattr(documented, "metadata", lambda name: found)
        documented.documentation_address.cache_clear()

    yield set_to
    documented.documentation_address.cache_clear()


@pytest.mark.parametrize("page", PAGES)
def test_the_html_of_an_estimator_links_to_its_page(page, address):
    address("Source, https://example.org/code", "Documentation, https://example.org/docs/")
    estimator = PAGES[page]
    assert estimator._get_doc_link() == f"https://example.org/docs/{page}"
    assert f'href="https://example.org/docs/{page}"' in estimator._repr_html_()


def test_without_an_address_there_is_no_link(address):
    address("Source, https://example.org/code")
    assert VAETransformer()._get_doc_link() == ""
    assert 'href="https://scikit-learn.org' not in VAETransformer()._repr_html_()
