"""Units: which texts name one."""

from __future__ import annotations

import pytest

from holdall.haystack.units import canonical, unit, units


@pytest.mark.parametrize(
    "texts",
    [
        ("kilowatt", "kW"),
        ("hour", "hr", "h"),
        ("square_meter", "m²"),
        ("us_dollar", "USD", "$"),
        ("euro", "EUR", "€"),
        ("fahrenheit", "°F"),
        ("percent", "%"),
        ("liters_per_second", "L/s"),
    ],
)
def test_names_and_symbols_mean_one_unit(texts: tuple[str, ...]) -> None:
    found = {unit(text) for text in texts}
    assert [one.name for one in found if one is not None] == [texts[0]]
    assert len(found) == 1
    assert len({canonical(text) for text in texts}) == 1


def test_a_unit_without_a_symbol_is_written_by_its_name() -> None:
    day = unit("day")
    assert day is not None
    assert day.symbols == ()
    assert day.symbol == "day"


def test_a_unit_knows_what_it_measures() -> None:
    kilowatt = unit("kW")
    assert kilowatt is not None
    assert kilowatt.quantity == "power"


@pytest.mark.parametrize("text", ["", "KW", "kw", "frobs", " kW", "Kilowatt"])
def test_a_text_that_names_no_unit(text: str) -> None:
    assert unit(text) is None


def test_an_unknown_unit_stands_for_itself() -> None:
    assert canonical("_frobs") == "_frobs"
    assert canonical(None) is None


def test_no_text_names_two_units() -> None:
    texts = [text for one in units() for text in (one.name, *one.symbols)]
    assert len({*texts}) == len(texts)


def test_every_unit_is_found_by_all_its_texts() -> None:
    for one in units():
        assert all(unit(text) == one for text in (one.name, *one.symbols))


def test_differences_of_temperature_are_no_temperatures() -> None:
    assert canonical("Δ°C") != canonical("°C")


def test_the_database_is_that_of_the_standard() -> None:
    assert len(units()) > 450
    assert {"area", "energy", "power", "temperature", "time"} <= {one.quantity for one in units()}
