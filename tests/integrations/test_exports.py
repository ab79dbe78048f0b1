"""Exports in the runtimes of others: OpenVINO, JavaScript, and a Python without torch."""

import json
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from glinermt import Ask, GlinerMT, Query, Span, extract_entities
from glinermt.exported import ExportedModel

pytestmark = pytest.mark.extras
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[2]
LABELS = ["person", "company", "city"]
TEXTS = [
    "Bill Gates founded Microsoft in Albuquerque, and moved to Seattle.",
    'Ada Lovelace lived in London; Zürich\'s café "Odéon" knew Lenin.',
    "nothing to see here",
    unicodedata.normalize("NFD", "José Núñez moved from Zürich to São Paulo."),
]
PACKAGES = ("onnxruntime-node@1", "@huggingface/tokenizers@0.2")


@pytest.fixture(scope="module")
def model() -> GlinerMT:
    return GlinerMT.from_pretrained()


@pytest.fixture(scope="module")
def folder(model: GlinerMT, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    model.export_onnx(folder)
    return folder


def places(spans: list[Span]) -> list[tuple[int, int, str, str]]:
    return [(span.start, span.end, span.text, span.label) for span in spans]


@pytest.mark.parametrize("quantize", [None, "fp16"])
def test_openvino_finds_what_the_model_finds(
    model: GlinerMT, tmp_path: Path, quantize: str | None
) -> None:
    pytest.importorskip("openvino")
    model.export_openvino(tmp_path, quantize=quantize)  # type: ignore[arg-type]
    exported = ExportedModel(tmp_path, threads=1)
    queries = [
        *(Query(text, tuple(LABELS), relations=("founder of",), classes=("a",)) for text in TEXTS),
        Query(" ".join(TEXTS) * 20, tuple(LABELS)),
    ]
    ask = Ask(0.5, "flat", False, "min", 0.5)
    allowed = 1e-4 if quantize is None else 0.02
    for ours, theirs in zip(exported.read(queries, ask), model.read(queries, ask), strict=True):
        assert places(list(ours.spans)) == places(list(theirs.spans))
        assert [s.score for s in ours.spans] == pytest.approx(
            [s.score for s in theirs.spans], abs=allowed
        )
        assert len(ours.relations) == len(theirs.relations)
        assert ours.classes == pytest.approx(theirs.classes, abs=10 * allowed)


def test_javascript_decodes_the_same_entities(folder: Path, tmp_path: Path) -> None:
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *PACKAGES]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot install {' '.join(PACKAGES)}: {done.stderr[-300:]}")
    script = shutil.copy(ROOT / "docs" / "howto" / "extract.mjs", tmp_path)
    for text in TEXTS:
        ours = extract_entities(text, LABELS, model=folder)
        ran = subprocess.run(
            ["node", script, str(folder), text, *LABELS],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        theirs = [Span.from_dict(one) for one in json.loads(ran.stdout)]
        assert places(ours) == places(theirs)
        assert [s.score for s in ours] == pytest.approx([s.score for s in theirs], abs=1e-4)


def test_an_environment_without_torch_imports_and_extracts(folder: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run(
        [*install, *constraints, "--requirement", str(folder / "requirements.txt")], check=True
    )
    subprocess.run([*install, "--no-deps", str(ROOT)], check=True)
    code = (
        "import glinermt, importlib.util, json, sys; assert not importlib.util.find_spec('torch'); "
        "model = glinermt.GlinerMT.from_pretrained(sys.argv[1]); "
        "found = glinermt.extract_entities(sys.argv[2], sys.argv[3:], model=model); "
        "print(json.dumps([span.to_dict() for span in found]))"
    )
    ran = subprocess.run(
        [str(python), "-c", code, str(folder), TEXTS[0], *LABELS],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = [Span.from_dict(one) for one in json.loads(ran.stdout)]
    assert places(found) == places(extract_entities(TEXTS[0], LABELS, model=folder)) != []
