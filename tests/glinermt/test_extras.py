"""A package that is not installed is named with the extra that brings it."""

import re
import tomllib
from email.message import Message
from pathlib import Path

import pytest
from typer.testing import CliRunner

from glinermt.annotate import annotate
from glinermt.cli import app, main
from glinermt.errors import BackendError, missing, needs


def test_the_extra_of_a_missing_package_is_named() -> None:
    error = ModuleNotFoundError("No module named 'accelerate'", name="accelerate.utils")
    assert missing(error) == "this needs accelerate: pip install 'glinermt[training]'"
    ours = ModuleNotFoundError("No module named 'nothing_of_ours'", name="nothing_of_ours")
    assert missing(ours) == "No module named 'nothing_of_ours'"


def test_a_package_with_another_name_than_its_module_is_known_by_its_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    about = Message()
    about["Requires-Dist"] = 'haystack-ai>=2; extra == "haystack"'
    about["Requires-Dist"] = 'llama-index-core>=0.12; extra == "llama-index"'
    about["Provides-Extra"] = "haystack"
    about["Provides-Extra"] = "llama-index"
    monkeypatch.setattr("importlib.metadata.metadata", lambda _: about)
    for name, extra in {"haystack": "haystack", "llama_index.core": "llama-index"}.items():
        error = ModuleNotFoundError(f"No module named {name!r}", name=name)
        assert f"pip install 'glinermt[{extra}]'" in missing(error)


def test_every_extra_that_an_error_names_is_there() -> None:
    root = Path(__file__).parents[2]
    known = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    sources = [*root.glob("*/*.py"), *root.glob("*/*/*.py"), *root.glob("docs/**/*.md")]
    named = {
        extra
        for path in sources
        for extras in re.findall(r"glinermt\[([a-z,-]+)\]", path.read_text(encoding="utf-8"))
        for extra in extras.split(",")
    }
    libraries = (root / "glinermt" / "words.py").read_text(encoding="utf-8")
    named |= set(re.findall(r'_library\("[^"]+", "[^"]+", "([^"]+)"\)', libraries))
    assert {"words", "stanza", "training"} <= named
    assert named <= set(known), named - set(known)


def test_a_need_is_checked_before_the_work() -> None:
    needs("json", extra="training")
    with pytest.raises(BackendError, match=r"this needs no_such: pip install 'glinermt\[serve\]'"):
        needs("no_such", extra="serve")


def test_a_command_without_its_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'accelerate'", name="accelerate")

    monkeypatch.setattr("glinermt.cli.app", absent)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    assert "this needs accelerate: pip install 'glinermt[training]'" in capsys.readouterr().err


def test_a_job_says_what_it_needs_before_it_reads_anything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("glinermt.errors.find_spec", lambda _: None)
    with pytest.raises(BackendError, match=r"needs pyarrow: pip install 'glinermt\[annotate\]'"):
        annotate("absent.jsonl", tmp_path, "entities", {"labels": ["person"]})
    done = CliRunner().invoke(app, ["bench", "all", "--sample", "--out", str(tmp_path / "out")])
    assert "needs matplotlib: pip install 'glinermt[eval]'" in str(done.exception)
    assert list(tmp_path.iterdir()) == []
