"""Downloads checkpoints from the hub, and uploads them."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from glinermt.build import Parts
from glinermt.checkpoints.native import save
from glinermt.errors import CheckpointError

_FILES = ["*.json", "*.safetensors", "*.bin", "*.model", "*.txt", "*.onnx", "*.xml"]


@dataclass(frozen=True, slots=True)
class Download:
    """How a checkpoint is got from the hub."""

    revision: str | None = None
    """Branch, tag or commit, for every file."""
    token: str | bool | None = None
    cache_dir: str | Path | None = None
    local_files_only: bool = False
    """Whether only what was downloaded before is used."""
    subfolder: str | None = None
    """Where in the repository or folder the checkpoint is."""


def local_folder(path: str | Path, download: Download) -> Path:
    """Return the local folder of a checkpoint, downloading it where ``path`` is a hub id.

    Raises:
        CheckpointError: there is no such folder, here or on the hub.
    """
    folder = Path(path).expanduser()
    inner = download.subfolder or ""
    if folder.is_dir():
        return folder / inner
    from huggingface_hub import snapshot_download  # importing it takes as long as loading a model
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        whole = snapshot_download(
            str(path),
            revision=download.revision,
            token=download.token,
            cache_dir=download.cache_dir,
            local_files_only=download.local_files_only,
            allow_patterns=[f"{inner}/{files}" for files in _FILES] if inner else _FILES,
        )
        return Path(whole) / inner
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"{path!s}: no such folder here, and not to be had from the hub: {error}"
        ) from error


def push(parts: Parts, repo_id: str, *, private: bool, token: str | None) -> str:
    """Upload the model to the hub; return the repository's address."""
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    address = api.create_repo(repo_id, private=private, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        save(parts, folder)
        api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Upload model")
    return str(address)
