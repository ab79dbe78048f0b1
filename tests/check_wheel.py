"""Builds sdist -> wheel, checks both with twine, installs it in a bare environment, and uses it
from another folder.

Run as a script (``make wheel``): it needs a minute and the package index, unlike the tests.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHECK = """
import glinermt, glinermt.tasks, glinermt.synth, glinermt.training, glinermt.eval
from glinermt import extract_entities
assert "site-packages" in glinermt.__file__, glinermt.__file__
print(extract_entities("Marie Curie worked in Paris.", ["person", "city"]))
"""


def run(*command: str | Path, cwd: Path) -> None:
    print("$", *command, flush=True)
    subprocess.run([str(part) for part in command], cwd=cwd, check=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        run(sys.executable, "-m", "build", "--outdir", work / "dist", ROOT, cwd=work)
        built = sorted((work / "dist").iterdir())
        (wheel,) = [path for path in built if path.suffix == ".whl"]
        run(sys.executable, "-m", "twine", "check", "--strict", *built, cwd=work)
        venv.create(work / "bare", with_pip=True)
        python = work / "bare" / "bin" / "python"
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        constraints = ["--constraint", ROOT / "constraints.txt"]
        run(*pip, *constraints, "torch", cwd=work)
        run(*pip, *constraints, wheel, cwd=work)
        run(python, "-c", CHECK, cwd=work)
        run(work / "bare" / "bin" / "glinermt", "--version", cwd=work)
    print("wheel: built from the sdist, installed bare, all five packages import, it extracts")


if __name__ == "__main__":
    main()
