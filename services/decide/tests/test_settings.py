"""Settings of decide: of a region's own, in force together, and refused together where they contradict each other."""

import pytest

from carbonshift.common.errors import InputError
from carbonshift.common.events import Pulse
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.policies.eco_pulse import EcoPulse
from carbonshift.decide.settings import DecideSettings, RegionSettings

FILE = """
[decide]
green_score = 0.3

[decide.regions.de]
critical_price_usd_per_mwh = 300
solar_window_from = 08:00:00

[decide.regions.fr]
red_score = 0.9
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Makes CARBONSHIFT_CONFIG name a file with the text."""

    def write(text):
        path = tmp_path / "carbonshift.toml"
        path.write_text(text, encoding="utf-8")
        monkeypatch.setenv("CARBONSHIFT_CONFIG", str(path))

    return write


def test_a_region_has_its_own_and_otherwise_what_holds_for_all(written):
    written(FILE)
    settings = DecideSettings.load()
    germany, france, elsewhere = (settings.for_region(region) for region in ("de", "fr", "caiso"))
    assert (germany.critical_price_usd_per_mwh, germany.solar_window_from.hour) == (300.0, 8)
    assert (france.critical_price_usd_per_mwh, france.red_score) == (200.0, 0.9)
    assert {germany.green_score, france.green_score, elsewhere.green_score} == {0.3}
    assert elsewhere is settings
    assert germany.for_region("de") == germany


def test_the_environment_gives_them_as_json_and_adds_to_the_file(written, monkeypatch):
    written(FILE)
    monkeypatch.setenv("CARBONSHIFT_REGIONS", '{"de": {"dwell_seconds": 60, "optimal_price_usd_per_mwh": null}}')
    germany = DecideSettings.load(optimal_price_usd_per_mwh=40.0).for_region("de")
    assert (germany.critical_price_usd_per_mwh, germany.dwell_seconds) == (300.0, 60.0)
    assert germany.optimal_price_usd_per_mwh is None  # said: the median, whatever holds for all


def test_every_setting_but_the_services_own_can_be_a_regions():
    of_all = set(DecideSettings.model_fields) - set(DecideSettings.__mro__[2].model_fields)
    assert set(RegionSettings.model_fields) == of_all - {"policy", "sites", "regions"}


def test_the_machine_decides_by_the_regions_own(tick):
    settings = DecideSettings(regions={"caiso": {"critical_price_usd_per_mwh": 20.0}})
    dear = {}
    for region in ("caiso", "fr"):
        own = settings.for_region(region)
        _, _, state = step(RegionMemory(), tick(0, 30.0, region=region), EcoPulse(own), own)
        dear[region] = state.state
    assert dear == {"caiso": Pulse.RED, "fr": Pulse.AMBER}


@pytest.mark.parametrize(
    ("region", "named"),
    [
        ("dwel_seconds = 60", "regions.de.dwel_seconds"),
        ('policy = "run-now"', "regions.de.policy"),
        ("dwell_seconds = -1", "regions.de.dwell_seconds"),
        ('time_zone = "Mars"', "regions.de.time_zone"),
        ("critical_price_usd_per_mwh = inf", "regions.de.critical_price_usd_per_mwh"),
        ("alpha = 0.7", r"regions\.de: alpha \+ beta"),
        ("green_score = 0.78", r"regions\.de: green_score"),
        ("window_seconds = 3600", r"regions\.de: warm_up_seconds"),
        ("solar_window_to = 07:00:00", r"regions\.de: solar_window_from"),
    ],
)
def test_what_does_not_fit_is_refused_by_one_line_with_region_and_key(written, region, named):
    written(f"[decide.regions.de]\n{region}\n")
    with pytest.raises(InputError, match=named) as caught:
        DecideSettings.load()
    assert "\n" not in str(caught.value)


def test_half_of_a_pair_may_come_from_the_region():
    settings = DecideSettings(red_score=0.9, regions={"de": {"green_score": 0.8}, "fr": {"alpha": 0.3, "beta": 0.7}})
    assert settings.for_region("de").green_score == 0.8


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"alpha": 0.7}, "alpha"),
        ({"green_score": 0.79}, "must stay below"),
        ({"warm_up_seconds": 14 * 86_400}, "no score is ever given"),
        ({"optimal_price_usd_per_mwh": float("nan")}, "finite"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, problem):
    with pytest.raises(ValueError, match=problem):
        DecideSettings(**changes)
