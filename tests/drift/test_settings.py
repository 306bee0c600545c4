"""Settings of drift come from the environment, every number of them, and a bad one says so."""

from dataclasses import fields

import pytest

from drift.errors import BadSetting
from drift.settings import PREFIX, DriftSettings

NUMBERS = {
    each.name: each.default
    for each in fields(DriftSettings)
    if isinstance(each.default, int | float)
}


def test_without_an_environment_the_defaults_hold() -> None:
    assert DriftSettings.of({}) == DriftSettings()


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_is_read_from_the_environment(name: str) -> None:
    default = NUMBERS[name]
    found = getattr(DriftSettings.of({PREFIX + name.upper(): f"{default * 3}"}), name)
    assert found == default * 3
    assert type(found) is type(default)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TICK", "soon"),
        ("TICK", "0"),
        ("TICK", "-1"),
        ("LEASE", "inf"),
        ("LEASE", "nan"),
        ("WORKERS", "1.5"),
        ("EXPORT_BYTES", ""),
    ],
)
def test_a_setting_that_is_no_such_number_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(BadSetting, match=PREFIX + name) as refused:
        DriftSettings.of({PREFIX + name: text})
    assert "unset" in refused.value.remedy
