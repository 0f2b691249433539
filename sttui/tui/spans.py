"""Lines of text with inks: what pure drawing functions return and widgets put on the screen."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[str, str]  # text and ink
Line = list[Span]


def plain_text(lines: Iterable[Line]) -> str:
    """Lines of spans without their inks."""
    return "\n".join("".join(part for part, _ in line) for line in lines)


def whole_spans(line: Line, width: int) -> Line:
    """The spans that fit from the left; none is cut in half."""
    used, kept = 0, []
    for text, name in line:
        used += len(text)
        if used > width:
            break
        kept.append((text, name))
    return kept


def merge(cells: Iterable[Span]) -> Line:
    """Neighbours of one ink as one span."""
    line: Line = []
    for text, name in cells:
        if line and line[-1][1] == name:
            line[-1] = (line[-1][0] + text, name)
        else:
            line.append((text, name))
    return line
