"""The stylesheet and the logo: contrast (WCAG 2.2, 1.4.3 and 1.4.11), and nothing from elsewhere."""

import re
from itertools import product

import pytest

from mcptunnel.relay.web.pages.assets import assets

CSS = assets()["style.css"].body.decode()
_BLOCK = re.compile(r":root \{([^}]*)\}")
_COLOUR = re.compile(r"--([a-z-]+): (#[0-9a-f]{6});")

TEXT, SHAPE = 4.5, 3.0
PAIRS = [
    *product(("text", "quiet"), ("ground", "card"), (TEXT,)),
    ("accent", "card", TEXT),
    ("fault", "card", TEXT),
    ("text", "alert", TEXT),
    ("on-accent", "accent", TEXT),
    ("on-accent", "accent-hover", TEXT),
    ("field-line", "card", SHAPE),
    ("alert-line", "card", SHAPE),
]


def schemes() -> dict[str, dict[str, str]]:
    light, dark = (dict(_COLOUR.findall(block)) for block in _BLOCK.findall(CSS))
    return {"light": light, "dark": dark}


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_how_contrast_is_computed() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("front", "ground", "least"), PAIRS)
def test_contrast(scheme: str, front: str, ground: str, least: float) -> None:
    colours = schemes()[scheme]
    assert contrast(colours[front], colours[ground]) >= least


def test_both_schemes_have_the_same_colours_and_no_others_are_used() -> None:
    light, dark = schemes().values()
    assert light.keys() == dark.keys()
    assert {*re.findall(r"var\(--([a-z-]+)\)", CSS)} == light.keys()
    assert not re.search(r"#[0-9a-f]{3,8}\b|rgb|hsl", _BLOCK.sub("", CSS))


@pytest.mark.parametrize("name", ["style.css", "logo.svg"])
def test_nothing_from_elsewhere(name: str) -> None:
    text = assets()[name].body.decode().replace('xmlns="http://www.w3.org/2000/svg"', "")
    for word in (
        "url(",
        "@import",
        "http:",
        "https:",
        "//",
        "<script",
        "<style",
        "style=",
        "data:",
    ):
        assert word not in text
