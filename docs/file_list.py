"""Writes the list of files into architecture.md: each with the first line of its docstring.

python docs/file_list.py            # write
python docs/file_list.py --check    # fail where the page is not up to date
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
FOLDERS = "glinermt tasks formats synth training eval annotate serve integrations speed".split()
BEGIN = "<!-- files: written by docs/file_list.py -->"
END = "<!-- end of files -->"


def home(folder: str) -> Path:
    """Return where a folder is: linked into the package, but in an sdist moved into it."""
    return ROOT / folder if (ROOT / folder).is_dir() else ROOT / "glinermt" / folder


def modules(folder: str) -> list[Path]:
    """Return a folder's files, without what is linked into the package."""
    linked = {ROOT / "glinermt" / name for name in FOLDERS}
    found = sorted(home(folder).rglob("*.py"))
    return [p for p in found if folder != "glinermt" or not linked & set(p.parents)]


def first_line(path: Path) -> str:
    """Return the first sentence of a module's docstring, on one line."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def listing() -> str:
    """Return the tables, one for each folder."""
    lines: list[str] = []
    for folder in FOLDERS:
        paths = modules(folder)
        lines += [
            "",
            f"### {folder}/",
            "",
            "| file | what it is |",
            "|---|---|",
        ]
        lines += [
            f"| `{path.relative_to(home(folder)).as_posix()}` | {first_line(path)} |"
            for path in paths
        ]
    return "\n".join([*lines, ""])


def updated(page: str) -> str:
    """Return the page with the list of today."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{listing()}\n{END}{after}"


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    if "--check" in sys.argv[1:]:
        if updated(page) != page:
            raise SystemExit("docs/architecture.md is not up to date: python docs/file_list.py")
        return
    PAGE.write_text(updated(page), encoding="utf-8")


if __name__ == "__main__":
    main()
