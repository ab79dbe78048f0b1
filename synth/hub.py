"""Uploading what was made to the Hugging Face hub."""

from pathlib import Path

UPLOADED = ("examples/*.jsonl", "examples/*.parquet", "README.md", "report.json", "labels.png")
"""Neither the replies nor the plan: they hold nothing that training needs."""


def push_to_hub(folder: Path, repo: str, *, private: bool = True) -> str:
    """Upload the data and its card as a dataset; give the address.

    Args:
        folder: the output of ``generate``.
        repo: ``owner/name``; made where it does not exist.
        private: whether a new one is private.
    """
    from huggingface_hub import HfApi

    hub = HfApi()
    hub.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
    done = hub.upload_folder(
        repo_id=repo, repo_type="dataset", folder_path=folder, allow_patterns=list(UPLOADED)
    )
    return str(done.commit_url)
