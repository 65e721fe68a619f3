"""Codat's query language: text in, a tree out, and an error that shows where the text went wrong.

Knows the grammar only. Which properties exist, their types and their SQL are ``fields`` and ``query_sql``.

    query  = and { "||" and }          clause = path op value       op = "!=" ">=" "<=" "=" ">" "<" "~"
    and    = term { "&&" term }        path   = name { "." name }
    term   = "{" query "}" | clause    value  = text up to && || { } or the end; trimmed

Source: docs.codat.io, "Query Codat's APIs". Where Codat leaves it open: ``&&`` binds tighter than ``||``. Codat's
language has no quotes; a value in quotes is read as what is between them, because nobody who quotes a value looks
for the quotes, and a list that is empty for that reason looks like an answer.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MAX_LENGTH = 2048  # "under 2048 characters", docs.codat.io
MAX_DEPTH = 64  # braces inside braces; deeper than any question, shallower than Python's stack


class QuerySyntaxError(ValueError):
    """The text is not a query. ``position`` counts characters from 1."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True)
class Clause:
    """``path op value``; ``position`` and ``value_position`` count characters from 1."""

    path: str
    op: str
    value: str
    position: int = 1
    value_position: int = 1


@dataclass(frozen=True, slots=True)
class And:
    """All of ``terms`` (two or more)."""

    terms: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """Any of ``terms`` (two or more)."""

    terms: "tuple[Node, ...]"


Node = Clause | And | Or

_SPACE = re.compile(r"\s*")
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_OP = re.compile(r"!=|>=|<=|=|>|<|~")
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019"}
_VALUE = re.compile(r"(?:(?!&&|\|\||[{}]).)*", re.DOTALL)


def parse(text: str) -> Node:
    """The tree of ``text``. Raises QuerySyntaxError with the position of the first thing that is wrong."""
    if len(text) >= MAX_LENGTH:
        raise QuerySyntaxError(
            f"A query is shorter than {MAX_LENGTH} characters; this has {len(text)}", MAX_LENGTH
        )
    node, at = _any_of(text, _skip(text, 0), depth=0)
    if at < len(text):
        if text[at] == "}":
            raise QuerySyntaxError('"}" closes a brace that was never opened', at + 1)
        raise QuerySyntaxError('Expected "&&", "||" or the end', at + 1)
    return node


def clauses(node: Node) -> Iterator[Clause]:
    """Every clause of the tree, left to right."""
    if isinstance(node, Clause):
        yield node
    else:
        for term in node.terms:
            yield from clauses(term)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _any_of(text: str, at: int, depth: int) -> tuple[Node, int]:
    return _joined(text, at, depth, "||", _all_of, Or)


def _all_of(text: str, at: int, depth: int) -> tuple[Node, int]:
    return _joined(text, at, depth, "&&", _term, And)


def _joined(
    text: str,
    at: int,
    depth: int,
    sign: str,
    part: Callable[[str, int, int], tuple[Node, int]],
    whole: type[And] | type[Or],
) -> tuple[Node, int]:
    node, at = part(text, at, depth)
    terms = [node]
    while text.startswith(sign, at):
        node, at = part(text, _skip(text, at + len(sign)), depth)
        terms.append(node)
    return (terms[0] if len(terms) == 1 else whole(tuple(terms))), at


def _term(text: str, at: int, depth: int) -> tuple[Node, int]:
    if not text.startswith("{", at):
        return _clause(text, at)
    if depth >= MAX_DEPTH:
        raise QuerySyntaxError(f"Braces are nested more than {MAX_DEPTH} deep", at + 1)
    node, end = _any_of(text, _skip(text, at + 1), depth + 1)
    if not text.startswith("}", end):
        raise QuerySyntaxError('Expected "}" to close the "{" at character ' + str(at + 1), end + 1)
    return node, _skip(text, end + 1)


def _clause(text: str, at: int) -> tuple[Node, int]:
    path = _PATH.match(text, at)
    if path is None:
        raise QuerySyntaxError("Expected the name of a property", at + 1)
    op_at = _skip(text, path.end())
    op = _OP.match(text, op_at)
    if op is None:
        raise QuerySyntaxError(f'Expected one of = != ~ < > <= >= after "{path.group()}"', op_at + 1)
    value_at = _skip(text, op.end())
    value = _VALUE.match(text, value_at)
    end = value.end() if value else value_at
    words = text[value_at:end].rstrip()
    if not words:
        raise QuerySyntaxError(f'Expected a value after "{path.group()} {op.group()}"', value_at + 1)
    inside = _unquoted(words, text, value_at, end)
    return Clause(path.group(), op.group(), inside, at + 1, value_at + 1), end


def _unquoted(words: str, text: str, at: int, end: int) -> str:
    closing = _QUOTES.get(words[0])
    if closing is None:
        return words
    if len(words) > 1 and words.endswith(closing):
        inside = words[1:-1].strip()
        if not inside:
            raise QuerySyntaxError("Expected a value between the quotes", at + 2)
        return inside
    if re.search(closing + r"\s*(?:$|&&|\|\||[{}])", text[end:]):
        raise QuerySyntaxError(
            "A value ends at &&, || or a brace, also within quotes; what this quote opens is closed later",
            at + 1,
        )
    return words  # a name may begin with an apostrophe, or hold one inch sign
