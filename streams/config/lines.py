"""Where each key of a TOML document stands: tomllib tells values, not places, and an error without a line is a search.

The scanner trusts that tomllib has already accepted the document, and so follows only the shape: headers, keys,
and the ends of values. Keys within an inline table are found too; what it does not find has the line of the
nearest key around it (`line_of`).
"""

from __future__ import annotations

from collections.abc import Mapping

KeyPath = tuple[str | int, ...]
"""`("intake", "foreign", 1, "topic")`: an int is the place in an array."""

_BARE_END = " \t\r\n=.]#},"


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line (from 1) of each key and each table of a valid TOML document."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int:
    """Return the line of `path`, or of the nearest key around it; 0 where there is none."""
    for end in range(len(path), 0, -1):
        line = lines.get(path[:end])
        if line is not None:
            return line
    return 0


class _Scanner:
    """A walk over the text, one character ahead."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self._arrays: dict[KeyPath, int] = {}  # how many tables each array of tables has so far
        self._counted = 0  # newlines are counted once, up to here
        self._line = 1

    def line(self) -> int:
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def peek(self, size: int = 1) -> str:
        return self.text[self.at : self.at + size]

    def document(self) -> None:
        table: KeyPath = ()
        while self._blank(newlines=True):
            if self.peek() == "[":
                table = self._header()
            else:
                self._pair(table)

    def _blank(self, *, newlines: bool) -> bool:
        """Pass white space and comments; False at the end of the text."""
        white = " \t\r\n" if newlines else " \t"
        while self.at < len(self.text):
            if self.peek() in white:
                self.at += 1
            elif self.peek() == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
                if not newlines:
                    break
            else:
                return True
        return self.at < len(self.text)

    def _header(self) -> KeyPath:
        line = self.line()
        array = self.peek(2) == "[["
        self.at += 2 if array else 1
        path = self._placed(self._key(()), array=array)
        self.at += 2 if array else 1
        self._note(path, line)
        return path

    def _placed(self, names: KeyPath, *, array: bool) -> KeyPath:
        """Return the path with the place in each array of tables that it runs through."""
        path: KeyPath = ()
        for index, name in enumerate(names):
            path = (*path, name)
            if array and index == len(names) - 1:
                self._arrays[path] = self._arrays.get(path, 0) + 1
            if path in self._arrays:
                path = (*path, self._arrays[path] - 1)
        return path

    def _note(self, path: KeyPath, line: int) -> None:
        for end in range(1, len(path) + 1):
            self.lines.setdefault(path[:end], line)

    def _key(self, base: KeyPath) -> KeyPath:
        """Read a key, bare, quoted or dotted, up to what follows it."""
        path = base
        while self._blank(newlines=False):
            path = (*path, self._string() if self.peek() in "\"'" else self._bare())
            self._blank(newlines=False)
            if self.peek() != ".":
                break
            self.at += 1
        return path

    def _bare(self) -> str:
        start = self.at
        while self.at < len(self.text) and self.peek() not in _BARE_END:
            self.at += 1
        if start == self.at:  # only an invalid document brings us here: go on rather than stand for ever
            self.at += 1
        return self.text[start : self.at]

    def _pair(self, base: KeyPath) -> None:
        line = self.line()
        path = self._key(base)
        self._note(path, line)
        self.at += 1  # the `=`
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._blank(newlines=False)
        match self.peek():
            case '"' | "'":
                self._string()
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case _:
                while self.at < len(self.text) and self.peek() not in ",]}#\n":
                    self.at += 1

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        while self._blank(newlines=True) and self.peek() != "]":
            if self.peek() == ",":
                self.at += 1
                index += 1
                continue
            self.lines.setdefault((*path, index), self.line())
            before = self.at
            self._value((*path, index))
            self.at += self.at == before  # an invalid document must not hold us for ever
        self.at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while self._blank(newlines=True) and self.peek() != "}":
            if self.peek() == ",":
                self.at += 1
                continue
            self._pair(path)
        self.at += 1

    def _string(self) -> str:
        quote = self.peek()
        mark = quote * 3 if self.peek(3) == quote * 3 else quote
        self.at += len(mark)
        start = self.at
        while self.at < len(self.text) and not self.text.startswith(mark, self.at):
            self.at += 2 if self.peek() == "\\" and quote == '"' else 1
        content = self.text[start : self.at]
        self.at += len(mark)
        while len(mark) == 3 and self.peek() == quote:  # up to two quotes may stand before the closing three
            self.at += 1
        return content
