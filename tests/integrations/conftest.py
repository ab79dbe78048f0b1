"""Tests send nothing to anyone."""

import os

os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")
