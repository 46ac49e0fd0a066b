"""The pages: their links and anchors, files that code and inputs name, messages that are quoted, pictures, README."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from beadwise.model.evaluators import BUILT_IN
from places import REPOSITORY, pages_of_documentation

DOCS = REPOSITORY / "docs"
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")),
    *pages_of_documentation(),
]
ROOMS = "base potentials properties spectra sampling model runs learning analysis driver inputs".split()
INCLUDE = re.compile(r"^```{include} (\S+)$", re.MULTILINE)
FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1 *$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+(?:\([^()\s]*\)[^()\s]*)*)\)")


def name_of(page):
    return str(page.relative_to(REPOSITORY))


def prose_of(page):
    """A page without its blocks of code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def links_of(page):
    return LINK.findall(re.sub(r"`[^`\n]*`", "``", prose_of(page)))


@cache
def anchors_of(page):
    """What links to headings of a page are called, as by GitHub and by MyST."""
    included = INCLUDE.findall(page.read_text(encoding="utf-8"))
    text = "\n".join([prose_of(page), *(prose_of((page.parent / name).resolve()) for name in included)])
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).strip().lower() for title in titles)
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_of_a_page(page):
    for link in links_of(page):
        if "://" in link or link.startswith("mailto:"):
            address = urlsplit(link)
            assert address.scheme == "https", f"{link} is not encrypted"
            assert re.fullmatch(r"[\w-]+(\.[\w-]+)+", address.netloc), f"{link} names no host"
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name_of(page)} links to {link}, which is not there"
        assert target.is_relative_to(REPOSITORY), f"{name_of(page)} links to {link}, outside of the repository"
        if anchor and target.suffix == ".md":
            assert anchor in anchors_of(target), f"{name_of(page)} links to {link}; there are {anchors_of(target)}"


def test_pages_that_code_and_inputs_name():
    named = re.compile(r"(?<![\w/.])docs/[\w/.-]*\w")
    files = [
        path for room in ROOMS for path in (REPOSITORY / room).rglob("*") if path.suffix in (".py", ".toml", ".sh")
    ]
    for path in [*files, *DOCS.glob("*.py"), *(DOCS / "pictures").rglob("*.py"), *PAGES]:
        for name in named.findall(path.read_text(encoding="utf-8")):
            if not name.startswith("docs/_build"):
                assert (REPOSITORY / name).exists(), f"{name_of(path)} names {name}, which is not there"


def test_messages_that_troubleshooting_quotes():
    page = (DOCS / "reference" / "troubleshooting.md").read_text(encoding="utf-8")
    code = "\n".join(path.read_text(encoding="utf-8") for room in ROOMS for path in (REPOSITORY / room).rglob("*.py"))
    quoted = re.findall(r"^### `(.*)`$", page, flags=re.MULTILINE)
    assert len(quoted) > 10
    for message in quoted:
        for part in message.split("…"):
            assert part.strip() in code, f"no message says '{part}' (of '{message}')"


def test_every_page_is_of_one_kind():
    recipes = {"ethanol", "ethene", "water_labels"}  # how shipped models were made, each with its scripts
    folders = {page.relative_to(DOCS).parts[0] for page in PAGES if page.is_relative_to(DOCS) and page.parent != DOCS}
    assert folders <= {"tutorials", "how_to", "explanation", "reference", *recipes}
    assert {path.stem for path in DOCS.glob("*.md")} == {"index", "gallery", "glossary", "cite"}


def test_readme_is_short():
    words = len((REPOSITORY / "README.md").read_text(encoding="utf-8").split())
    assert words < 900, f"README has {words} words"


def test_shipped_inputs_have_their_line():
    page = (DOCS / "reference" / "inputs.md").read_text(encoding="utf-8")
    missing = [path.stem for path in (REPOSITORY / "inputs").glob("*.xml") if f"`{path.stem}`" not in page]
    assert not missing


def test_pictures_of_pages_have_a_text():
    for page in PAGES:
        for text, path in re.findall(r"!\[([^]]*)\]\(([^)\s]+)\)", prose_of(page)):
            assert text, f"{Path(path).name} of {name_of(page)} has no text for those who cannot see it"


def test_potentials_and_extras_have_their_line():
    page = (DOCS / "reference" / "models.md").read_text(encoding="utf-8")
    for provider in BUILT_IN.values():
        name = provider.usage if provider.usage.startswith("FILE") else provider.prefix
        assert f"`{name}" in page, f"{provider.usage} is not in the table of potentials with a name"
    page = (DOCS / "how_to" / "install.md").read_text(encoding="utf-8")
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    section = project.split("[project.optional-dependencies]")[1].split("\n[")[0]
    extras = re.findall(r"^([a-z]+) = \[", section, flags=re.MULTILINE)
    assert "docs" in extras
    assert not [extra for extra in extras if extra != "development" and f"`{extra}`" not in page]
