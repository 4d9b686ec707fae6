"""Pages as trees, and what must hold of every one of them."""

from xml.etree.ElementTree import Element

import html5lib

_LABELLED = ("input", "select", "textarea")


def parse(html: bytes) -> Element:
    """Return the tree of a page. Raises html5lib's ParseError for what is not valid syntax."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    tree = parser.parse(html, transport_encoding="utf-8")
    assert isinstance(tree, Element)
    return tree


def text_of(element: Element) -> str:
    """Return what is to be read in an element, with single spaces."""
    return " ".join("".join(element.itertext()).split())


def found(tree: Element, path: str) -> Element:
    """Return the only element at a path."""
    (only,) = tree.iterfind(path)
    return only


def fields_of(form: Element) -> dict[str, str]:
    """Return names and values of what a form posts, without its buttons."""
    return {one.get("name", ""): one.get("value", "") for one in form.iter("input")}


def flaws(tree: Element) -> list[str]:
    """Say what keeps people from using a page with a keyboard, a reader, or a small screen."""
    told = [
        f"there are {n} <{tag}>" for tag in ("h1", "main") if (n := len([*tree.iter(tag)])) != 1
    ]
    ids = [one.get("id", "") for one in tree.iter() if one.get("id")]
    told += [f"the id {one} is there twice" for one in {*ids} if ids.count(one) > 1]
    if tree.get("lang") != "en" or not text_of(found(tree, "head/title")):
        told.append("language or title are missing")
    if not any(one.get("name") == "viewport" for one in tree.iter("meta")):
        told.append("there is no viewport")
    labelled = {one.get("for") for one in tree.iter("label")}
    for element in tree.iter():
        name = f"<{element.tag} {element.get('name')}>"
        described = (element.get("aria-describedby") or "").split()
        told += [f"{name} is described by nothing" for one in described if one not in ids]
        told += [f"{name} has {key}" for key in element.keys() if key.startswith(("on", "style"))]  # noqa: SIM118 - an Element is no dict
        if element.tag in ("script", "style", "iframe", "object", "embed", "base"):
            told.append(f"there is {name}")
        if element.tag in _LABELLED and element.get("type") != "hidden":
            told += [] if element.get("id") in labelled else [f"{name} has no label"]
            told += [] if element.get("autocomplete") else [f"{name} has no autocomplete"]
        if element.tag == "img" and element.get("alt") is None:
            told.append("an image has no alt")
    return told + _wrong_levels(tree)


def _wrong_levels(tree: Element) -> list[str]:
    levels = [int(one.tag[1]) for one in tree.iter() if one.tag in ("h1", "h2", "h3", "h4")]
    steps = zip([0, *levels], levels, strict=False)
    return [f"h{here} follows h{before}" for before, here in steps if here > before + 1]
