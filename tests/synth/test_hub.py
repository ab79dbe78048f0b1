"""Uploading sends the data and its card, and nothing else."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest

from glinermt.synth.card import push_to_hub


def test_a_private_dataset_gets_the_data_and_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []

    class Hub:
        def create_repo(self, repo: str, **options: Any) -> None:
            calls.append({"repo": repo, **options})

        def upload_folder(self, **options: Any) -> SimpleNamespace:
            calls.append(options)
            return SimpleNamespace(commit_url="https://hub/commit")

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    assert push_to_hub(tmp_path, "me/data") == "https://hub/commit"
    made, sent = calls
    assert made == {"repo": "me/data", "repo_type": "dataset", "private": True, "exist_ok": True}
    assert sent["folder_path"] == tmp_path
    assert "part-*.jsonl" in sent["allow_patterns"]
    assert not [p for p in sent["allow_patterns"] if "raw" in p or "plan" in p or "manifest" in p]
