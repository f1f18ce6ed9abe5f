"""The page of a report and its text, and comparisons with their words on who is ahead."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sklae._cli.comparisons import Comparison, Figure
from sklae._cli.demo_tables import one_hot, with_gaps, with_slips
from sklae._cli.report import Picture, Report, ResultTable

RANKING = ResultTable(
    "Ranking",
    ["row", "name", "score", "why"],
    [["7", "x" * 90, "-2.5", ["a = 1, expected 2", "b = <3>"]], ["12", "y", "-", []]],
    notes=["Small print."],
)


def _report() -> Report:
    pictures = [Picture(f"{name}.png", f"caption {name}", b"png") for name in ("one", "two")]
    figures = ResultTable("Figures", ["table", "value"], [["t", "1.0"]], lead="How to read it.")
    return Report("Title & more", ["The result."], [RANKING, figures], pictures, ["The rest."])


def test_the_picture_and_the_ranked_rows_come_first():
    page = _report().html()
    places = [
        page.index(text)
        for text in (
            *("<h1>Title &amp; more", "The result.", "caption one", "<h2>Ranking", "a = 1, expected 2", "Small print."),
            *("<h2>Figures", "How to read it.", "caption two", "The rest."),
        )
    ]
    assert places == sorted(places)


def test_without_pictures_the_ranked_rows_come_first():
    report = _report()
    report.pictures.clear()
    page = report.html()
    assert "<figure>" not in page
    assert "<h2>Pictures" not in page
    assert page.index("The result.") < page.index("<h2>Ranking")


def test_tables_scroll_with_a_hint_and_ranked_rows_become_cards():
    page = _report().html()
    assert page.count('<div class="scroll" tabindex="0"') == page.count("<table") == page.count('class="hint"') == 2
    assert page.count('<table class="cards">') == 1  # one with reasons
    body = page.split("<tbody>")[1].split("</tbody>")[0]
    assert re.findall(r'data-label="([^"]+)"', body) == [*RANKING.header, *RANKING.header]
    assert '<td class="words" data-label="why"><ul><li>a = 1, expected 2</li><li>b = &lt;3&gt;</li></ul>' in body
    assert '<td class="long" data-label="name">' in body
    assert '<td class="number" data-label="score">' in body  # a dash is no text


def test_the_page_stands_alone_in_light_and_dark():
    page = _report().html()
    assert not re.search(r"<script|<link|@import|url\(|https?:", page)
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


def test_long_rows_have_their_reasons_below_in_text():
    lines = RANKING.text().splitlines()
    assert lines[0] == "Ranking"
    assert lines[1].endswith("score  why")
    assert lines[2].split() == ["7", "x" * 90, "-2.5"]
    assert [line.strip() for line in lines[3:5]] == ["a = 1, expected 2", "b = <3>"]
    assert lines[5].split() == ["12", "y", "-"]
    assert len(RANKING.text(1).splitlines()) == 5


def test_short_rows_have_their_reasons_beside_them_in_text():
    table = ResultTable("Ranking", RANKING.header, [["7", "x", "-2.5", ["a", "b"]]])
    assert [line.split() for line in table.text().splitlines()[1:]] == [
        ["row", "name", "score", "why"],
        ["7", "x", "-2.5", "a"],
        ["b"],
    ]


# -- comparisons ----------------------------------------------------------------------------------------


def _comparison(**others: tuple[float, float]) -> Comparison:
    figures = [Figure("gain", 2), Figure("error", 3, lower_is_better=True)]
    reasons = {"Peer": "it is simple.", "Other": "it is lucky."}
    comparison = Comparison("Title", "Lead.", figures, "Own", "it tries hard.", reasons)
    comparison.add("t", "Own", [0.5, 0.25], 3.0)
    for name, values in others.items():
        comparison.add("t", name, values, 1.0)
    return comparison


def test_who_is_ahead_is_named_with_figures_and_a_reason():
    result = _comparison(Peer=(0.75, 0.25), Other=(0.25, 0.125)).result()
    assert list(result.notes) == [
        "Peer is ahead of Own (t, gain 0.75 beside 0.50): it is simple.",
        "Other is ahead of Own (t, error 0.125 beside 0.250): it is lucky.",
        "Own takes longest: it tries hard.",
    ]
    assert result.best == {(1, 2), (2, 3)}
    assert result.rows[0] == ["t", "Own", "0.50", "0.250", "3.00"]
    assert result.html().count("best") == 2


def test_what_is_written_alike_is_no_lead():
    result = _comparison(Peer=(0.504, 0.2496)).result()
    assert list(result.notes) == ["Own takes longest: it tries hard."]
    assert result.best == {(0, 2), (1, 2), (0, 3), (1, 3)}


def test_figures_that_there_are_none_of_lead_nowhere():
    result = _comparison(Peer=(np.nan, 0.5)).result()
    assert result.rows[1][2] == "-"
    assert result.best == {(0, 2), (0, 3)}


def test_a_quick_method_is_not_called_slow_and_runs_are_averaged():
    comparison = _comparison(Peer=(0.25, 0.5))
    comparison.add("t", "Own", [0.25, 0.75], 3.0)
    comparison.add("t", "Peer", [0.25, 0.5], 9.0)
    result = comparison.result()
    assert result.rows[0][2:] == ["0.38", "0.500", "3.00"]
    assert list(result.notes) == []


# -- the demonstration's tables -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["wine", "breast cancer"])
def test_slips_are_where_they_are_said_to_be(name):
    slips, (whole, gappy) = with_slips(name, 3), with_gaps(name, 0.05, 3)
    differs = (slips.frame != gappy) & (slips.frame.notna() | gappy.notna())
    np.testing.assert_array_equal(differs.to_numpy(), slips.is_slip)
    assert slips.is_slip.sum() == slips.rows.sum() == round(0.05 * len(whole))
    assert [bool(text) for text in slips.told] == slips.rows.tolist()
    for row, column in zip(*np.nonzero(slips.is_slip), strict=True):
        was, wrong = whole.iat[row, column], slips.frame.iat[row, column]
        if slips.by_point[row]:
            assert wrong == pytest.approx(10 * was) or wrong == pytest.approx(was / 10)
        else:
            assert wrong in set(whole.iloc[:, column])
        assert slips.told[row].startswith(f"{whole.columns[column]}, was ")
    assert abs(2 * int(slips.by_point.sum()) - int(slips.rows.sum())) <= 1


def test_text_becomes_columns_with_the_gaps_that_it_has():
    _, gappy = with_gaps("wine", 0.2, 0)
    coded = one_hot(gappy)
    levels = coded.filter(like="cultivar_")
    assert levels.shape[1] == 3
    is_gap = gappy["cultivar"].isna().to_numpy()
    assert is_gap.any()
    np.testing.assert_array_equal(levels.isna().all(axis=1), is_gap)
    assert (levels[~is_gap].sum(axis=1) == 1).all()
    assert one_hot(gappy, drop_first=True).shape[1] == coded.shape[1] - 1
