"""Check the links of the built site: every file and every anchor that a page names is there.

It needs no network; addresses elsewhere are left to Sphinx (`make docs-links-web`).
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LINKS = {"a": "href", "img": "src", "link": "href", "script": "src"}


class PageParser(HTMLParser):
    """Collects what a page names, and the anchors that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the links and anchors of one element."""
        found = dict(attrs)
        self.anchors |= {value for key in ("id", "name") if (value := found.get(key))}
        target = found.get(_LINKS.get(tag, ""))
        if target:
            self.links.append(target)


def read(page: Path) -> PageParser:
    """Read one page."""
    parser = PageParser()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


def broken_links(site: Path) -> list[str]:
    """Return, as sentences, the links within a folder of pages that lead nowhere."""
    files = [page for page in site.rglob("*.html") if "_static" not in page.parts]
    pages = {page.resolve(): read(page) for page in files}
    broken = []
    for page, parser in sorted(pages.items()):
        for link in parser.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            anchor = unquote(parts.fragment)
            if not target.is_file():
                broken.append(f"{page.name}: {link}: there is no such file")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                broken.append(f"{page.name}: {link}: the page has no such anchor")
    return broken


if __name__ == "__main__":
    wrong = broken_links(Path(sys.argv[1]))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    sys.exit(f"{len(wrong)} broken links" if wrong else 0)
