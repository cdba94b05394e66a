"""Articles and terms that come with the program: Markdown files in each language, made into HTML and searched. Pure.

Only what our own pages need of Markdown is known, and everything else is shown as it stands, escaped.
"""

import hashlib
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ARTICLES, TERMS = HERE / "articles", HERE / "terms"
FOUND_MAX: Final = 20
WORDS_MAX: Final = 10
_INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\((/[^)\s]*|https://[^)\s]+)\)")
_ITEM = re.compile(r"(?:-|(\d+)\.) +(.*)")


@dataclass(frozen=True, slots=True)
class Writing:
    """A text in one language: the first line is its title."""

    name: str
    language: str
    title: str
    text: str
    html: str
    sha256: str


Shelf = Mapping[tuple[str, str], Writing]
"""By name and language."""


def load(folder: Path) -> dict[tuple[str, str], Writing]:
    """Every `<name>.<language>.markdown` of a folder, by name."""
    found = {}
    for path in sorted(folder.glob("*.markdown")):
        name, _, language = path.stem.rpartition(".")
        found[name, language] = writing(name, language, path.read_text(encoding="utf-8"))
    return found


def writing(name: str, language: str, source: str) -> Writing:
    """The writing in a Markdown text that begins with `# Title`."""
    first, _, text = source.partition("\n")
    title = first.removeprefix("# ").strip()
    digest = hashlib.sha256(source.encode()).hexdigest()
    return Writing(name, language, title, text.strip(), to_html(text), digest)


def newest(shelf: Shelf) -> str:
    """The name that comes last: of terms, the version in force."""
    return max(name for name, _ in shelf)


def names(shelf: Shelf) -> list[str]:
    """Every name once, in order."""
    return sorted({name for name, _ in shelf})


def search(shelf: Shelf, language: str, asked: str) -> list[Writing]:
    """The writings in which every word of `asked` stands, those with it in the title first; all without a word."""
    words = asked.casefold().split()[:WORDS_MAX]
    here = [one for (_, spoken), one in shelf.items() if spoken == language]
    found = [one for one in here if all(word in f"{one.title} {one.text}".casefold() for word in words)]
    return sorted(found, key=lambda one: (-_weight(one, words), one.name))[:FOUND_MAX]


def to_html(text: str) -> str:
    """Headings of the second and third rank, paragraphs, lists, code, emphasis and links."""
    return "\n".join(_blocks(text.strip().split("\n")))


def _weight(one: Writing, words: Sequence[str]) -> int:
    return sum(10 * (word in one.title.casefold()) + min(5, one.text.casefold().count(word)) for word in words)


def _blocks(lines: Sequence[str]) -> Iterator[str]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("```"):
            end = next((i for i in range(at + 1, len(lines)) if lines[i].startswith("```")), len(lines))
            code = html.escape("\n".join(lines[at + 1 : end]))
            yield f'<pre class="scroll" tabindex="0"><code>{code}</code></pre>'
            at = end + 1
        elif line.startswith("#"):
            rank = 3 if line.startswith("###") else 2
            yield f"<h{rank}>{_inline(line.lstrip('#').strip())}</h{rank}>"
            at += 1
        elif _ITEM.match(line):
            end = next((i for i in range(at, len(lines)) if not lines[i].strip()), len(lines))
            yield _list(lines[at:end])
            at = end
        elif line.strip():
            end = next((i for i in range(at, len(lines)) if _ends_paragraph(lines[i])), len(lines))
            yield f"<p>{_inline(' '.join(lines[at:end]))}</p>"
            at = end
        else:
            at += 1


def _ends_paragraph(line: str) -> bool:
    return not line.strip() or line.startswith(("#", "```")) or _ITEM.match(line) is not None


def _list(lines: Sequence[str]) -> str:
    items: list[str] = []
    for line in lines:
        found = _ITEM.match(line)
        if found:
            items.append(found.group(2))
        else:
            items[-1] += f" {line.strip()}"
    first = _ITEM.match(lines[0])
    kind = "ol" if first is not None and first.group(1) else "ul"
    return f"<{kind}>{''.join(f'<li>{_inline(item)}</li>' for item in items)}</{kind}>"


def _inline(text: str) -> str:
    parts, at = [], 0
    for found in _INLINE.finditer(text):
        parts.append(html.escape(text[at : found.start()]))
        code, strong, label, target = found.groups()
        if code is not None:
            parts.append(f"<code>{html.escape(code)}</code>")
        elif strong is not None:
            parts.append(f"<strong>{html.escape(strong)}</strong>")
        else:
            parts.append(f'<a href="{html.escape(target)}">{html.escape(label)}</a>')
        at = found.end()
    return "".join([*parts, html.escape(text[at:])])
