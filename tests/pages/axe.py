"""axe-core: the rules of accessibility that a program can check."""

from functools import cache
from typing import Final

from playwright.sync_api import Page

from tests.interop.environments import environment, npm_install

AXE: Final = "axe-core@4.14.1"
_RUN: Final = """async () => {
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const found = await axe.run(document, {runOnly: tags});
    return found.violations.flatMap(rule =>
        rule.nodes.map(node => `${rule.id}: ${rule.help}: ${node.html}`));
}"""


@cache
def axe_source() -> str:
    """Return the script; it is installed when it is missing."""
    folder = environment("axe", (AXE,), lambda at: npm_install(at, (AXE,)))
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """Return what breaks a rule on a page: rule, explanation, element."""
    page.evaluate(axe_source())
    found: list[str] = page.evaluate(_RUN)
    return found
