"""``glinermt serve`` says what is wrong before it serves."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs the extra [serve]")

from glinermt import cli
from glinermt.errors import ConfigError
from glinermt.serve.access import read_keys
from glinermt.serve.process import Models, Setup
from glinermt.serve.service import ServeSettings


def test_without_the_extra_the_command_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    for name in [name for name in sys.modules if name.startswith("glinermt.serve.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "argv", ["glinermt", "serve"])
    with pytest.raises(SystemExit):
        cli.main()
    assert "pip install 'glinermt[serve]'" in capsys.readouterr().err


def test_models_are_named_by_the_user_or_by_their_place() -> None:
    given = ["own=/models/a", "hub/some-model", "/models/last"]
    models = Models.named(given, precision="exact", device=None)
    assert models.places == {
        "own": "/models/a",
        "some-model": "hub/some-model",
        "last": "/models/last",
    }
    assert Models.named([], precision="exact", device=None).places == {"glinermt": None}
    with pytest.raises(ValueError, match="two models are called 'a'; write --model NAME=x/a"):
        Models.named(["y/a", "x/a"], precision="exact", device=None)
    with pytest.raises(ValueError, match="expected a folder or hub id"):
        Models.named(["a="], precision="exact", device=None)


def test_keys_are_the_lines_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# of the team\none\n\n  two \n", encoding="utf-8")
    assert read_keys(file) == {"one", "two"}
    file.write_text("# only\n")
    with pytest.raises(ConfigError, match="keys: no key in it; write one a line"):
        read_keys(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_keys(tmp_path / "missing")


def test_what_workers_are_told_has_no_key(tmp_path: Path) -> None:
    models = Models.named([], precision="exact", device=None)
    setup = Setup(models=models, settings=ServeSettings(max_queue=7), api_key_file=tmp_path / "k")
    (tmp_path / "k").write_text("very secret")
    told = setup.model_dump_json()
    assert "very secret" not in told
    assert Setup.model_validate_json(told) == setup
