"""Measures how the product is built: ``python tests/house.py [CHECKOUT ...]``, side by side where there are several.

``test_house.py`` keeps the figures of this checkout under a ceiling. What each figure counts is said beside it in
``FIGURES``. Product is ``connector``, ``transforms`` and ``schemas``; ``sync`` enters rooms (folders) and files of it,
measured by following one call of ``connector sync`` against the sandbox.
"""

import ast
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from radon.complexity import cc_visit
from radon.visitors import Function

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("connector", "transforms", "schemas")
LONGEST, SHORTEST, MOST_PARAMETERS, MOST_COMPLEX = 300, 40, 6, 20
RUN = 6
FIGURES = {
    "files": "Python files",
    "lines": "their lines",
    "sql lines": "lines of SQL: migrations, views",
    "long files": f"more than {LONGEST} lines",
    "short files": f"fewer than {SHORTEST} lines; a package's own file with nothing but a docstring is none",
    "largest room": "Python files in one folder at the most",
    "many parameters": f"functions with more than {MOST_PARAMETERS}, self not counted",
    "options": "of commands and routes: as many, one for each option or query parameter; not among those above",
    "complex": "functions of complexity D or worse, as radon counts",
    "duplicated runs": f"places that share {RUN} lines or more with another; no blank lines, comments or imports",
    "circles": "groups of files that import each other when they are loaded",
    "rooms of a sync": "folders that one sync enters",
    "files of a sync": "files that one sync enters",
}
# Follows the calls of one sync of a small shop, whichever threads make them.
_FOLLOWED = """
import json, os, sys, threading
from datetime import UTC, datetime
from pathlib import Path
root, work = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(root))
os.environ["CLOVER_TOKEN"] = "sandbox"
from connector.sandbox.sandbox import Sandbox
from connector.sandbox.shop import generate_shop
sandbox = Sandbox(generate_shop(20, seed=3, until=datetime.now(UTC), days=30)).start()
(work / "config.yaml").write_text(json.dumps({"store": str(work / "store"), "companies": [{"name": "Juniper Goods",
    "connections": [{"merchant_id": sandbox.world.merchant.id, "merchant_name": "Juniper Goods", "country": "USA",
    "base_url": sandbox.base_url, "timezone": "America/New_York", "token": sandbox.token, "start_date": "2026-01-01",
    "platform": "off"}]}]}))
from connector.cli import main
entered = set()
def follow(frame, event, _):
    if event == "call" and frame.f_code.co_name != "<module>":
        entered.add(frame.f_code.co_filename)
threading.setprofile(follow)
sys.setprofile(follow)
sys.argv = ["connector", "--config", str(work / "config.yaml"), "sync"]
try:
    main()
except SystemExit as done:
    assert not done.code, done.code
finally:
    sys.setprofile(None)
files = {str(Path(name).relative_to(root)) for name in entered if name.startswith(f"{root}{os.sep}")}
print("followed " + json.dumps(sorted(files)))
os._exit(0)
"""


@dataclass(frozen=True)
class House:
    """One checkout. figures: as in ``FIGURES``; places: what each figure counted, to be looked at."""

    root: Path
    figures: dict[str, int] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)


def measured(root: Path, *, sync: bool = True) -> House:
    """The figures of a checkout. sync: follow a sync too, which takes seconds."""
    house = House(root.resolve())
    files = {path: path.read_text() for name in PRODUCT for path in sorted((house.root / name).rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in files.items()}
    lengths = {path: text.count("\n") for path, text in files.items()}
    rooms: dict[Path, int] = defaultdict(int)
    for path in files:
        rooms[path.parent] += path.name != "__init__.py"
    functions = [(path, function) for path, tree in trees.items() for function in _functions(tree)]
    many = [(path, f) for path, f in functions if _parameters(f) > MOST_PARAMETERS]
    circles = list(_circles(_imports(house.root, trees)))
    sql = [path for name in PRODUCT for path in (house.root / name).rglob("*.sql")]

    def note(figure: str, places: list[str]) -> None:
        house.places[figure] = places
        house.figures[figure] = len(places)

    def at(path: Path, line: int, what: str) -> str:
        return f"{path.relative_to(house.root)}:{line} {what}"

    house.figures["files"], house.figures["lines"] = len(files), sum(lengths.values())
    house.figures["sql lines"] = sum(path.read_text().count("\n") for path in sql)
    note("long files", [at(p, n, "lines") for p, n in lengths.items() if n > LONGEST])
    note(
        "short files",
        [at(p, n, "lines") for p, n in lengths.items() if n < SHORTEST and not _is_bare(p, trees[p])],
    )
    house.figures["largest room"] = max(rooms.values())
    house.places["largest room"] = [
        str(room.relative_to(house.root)) for room, n in rooms.items() if n == max(rooms.values())
    ]
    for figure, of_commands in (("many parameters", False), ("options", True)):
        counted = [(p, f) for p, f in many if _takes_options(f) is of_commands]
        note(figure, [at(p, f.lineno, f"{f.name} {_parameters(f)}") for p, f in counted])
    note("complex", [
        at(path, block.lineno, f"{block.name} {block.complexity}")
        for path, text in files.items() for block in _blocks(text) if block.complexity > MOST_COMPLEX
    ])  # fmt: skip
    note("duplicated runs", list(_runs(house.root, files)))
    note("circles", [" ".join(sorted(circle)) for circle in circles])
    if sync:
        entered = followed(house.root)
        note("rooms of a sync", sorted({str(Path(name).parent) for name in entered}))
        note("files of a sync", entered)
    return house


def followed(root: Path) -> list[str]:
    """Files of the product, without the sandbox, that one ``connector sync`` of a checkout enters."""
    with tempfile.TemporaryDirectory() as work:
        done = subprocess.run(
            [sys.executable, "-c", _FOLLOWED, str(root), work], cwd=root, capture_output=True, text=True, check=False,
            timeout=120, env={**os.environ, "PYTHONPATH": str(root)},
        )  # fmt: skip
    told = [line for line in done.stdout.splitlines() if line.startswith("followed ")]
    assert told, (done.stdout + done.stderr)[-3000:]
    entered: list[str] = json.loads(told[-1].removeprefix("followed "))
    return [
        name for name in entered if name.startswith(PRODUCT) and not name.startswith("connector/sandbox/")
    ]


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return (
        len(names)
        - (names[:1] in (["self"], ["cls"]))
        + (given.vararg is not None)
        + (given.kwarg is not None)
    )


def _takes_options(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether click or FastAPI calls it, with a parameter for each option or query parameter."""
    words = " ".join(ast.unparse(decorator) for decorator in function.decorator_list)
    annotated = " ".join(ast.unparse(one.annotation) for one in function.args.args if one.annotation)
    is_route = "router." in words or any(word in annotated.split() for word in ("Reads", "Writes"))
    return "click." in words or ".command(" in words or is_route or "Annotated[" in annotated


def _is_bare(path: Path, tree: ast.Module) -> bool:
    return path.name == "__init__.py" and all(isinstance(node, ast.Expr) for node in tree.body)


def _blocks(text: str) -> Iterator[Function]:
    """Functions and methods; radon names the methods beside their classes."""
    return (block for block in cc_visit(text) if isinstance(block, Function))


def _runs(root: Path, files: dict[Path, str]) -> Iterator[str]:
    """Runs of lines that stand in two places, each as long as it goes, white space folded."""
    lines: list[tuple[Path, int, str]] = []
    for path, text in files.items():
        for number, line in enumerate(text.splitlines(), 1):
            said = " ".join(line.split())
            if said and not said.startswith(("#", "import ", "from ")) and any(c.isalnum() for c in said):
                lines.append((path, number, said))
    starts: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for start in range(len(lines) - RUN + 1):
        if lines[start][0] == lines[start + RUN - 1][0]:
            starts[tuple(said for _, _, said in lines[start : start + RUN])].append(start)
    pairs = {(a, b) for same in starts.values() for i, a in enumerate(same) for b in same[i + 1 :]}
    for a, b in sorted(pairs):
        if (a - 1, b - 1) not in pairs and b - a >= RUN:
            length = RUN + next(n for n in range(len(lines)) if (a + n + 1, b + n + 1) not in pairs)
            (one, first, _), (other, second, _) = lines[a], lines[b]
            yield f"{one.relative_to(root)}:{first} ~ {other.relative_to(root)}:{second} {length} lines"


def _imports(root: Path, trees: dict[Path, ast.Module]) -> dict[str, set[str]]:
    """File -> files that it imports when it is loaded: not inside a function, not for types alone."""
    names = {}
    for path in trees:
        parts = path.relative_to(root).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    found: dict[str, set[str]] = {name: set() for name in names}
    for name, path in names.items():
        for node in _loaded(trees[path]):
            wanted = [one.name for one in node.names]
            if isinstance(node, ast.ImportFrom):
                wanted = [
                    f"{node.module}.{one}" if f"{node.module}.{one}" in names else str(node.module)
                    for one in wanted
                ]
            found[name].update(one for one in wanted if one in names and one != name)
    return found


def _loaded(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not (
            isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        ):
            yield from _loaded(child)


def _circles(imports: dict[str, set[str]]) -> Iterator[set[str]]:
    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for name in imports[todo.pop()] - seen:
                seen.add(name)
                todo.append(name)
        return seen

    reach = {name: reached(name) for name in imports}
    left = {name for name in imports if name in reach[name]}
    while left:
        name = min(left)
        circle = {other for other in left if name in reach[other] and other in reach[name]}
        left -= circle
        yield circle


def main(arguments: list[str]) -> None:
    """Print the figures of each checkout in a column; ``--places`` what they counted, of the last one."""
    roots = [Path(name) for name in arguments if not name.startswith("--")] or [ROOT]
    houses = [measured(root) for root in roots]
    width = max(12, *(len(house.root.name) + 2 for house in houses))
    print(f"{'':16}" + "".join(f"{house.root.name:>{width}}" for house in houses))
    for figure, meaning in FIGURES.items():
        print(
            f"{figure:16}"
            + "".join(f"{house.figures[figure]:>{width},}" for house in houses)
            + f"  {meaning}"
        )
    if "--places" in arguments:
        for figure, places in houses[-1].places.items():
            print(f"\n{figure}\n" + "\n".join(f"  {place}" for place in places))


if __name__ == "__main__":
    main(sys.argv[1:])
