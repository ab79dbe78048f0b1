"""Annotation jobs over millions of documents: resumable, on one machine or a Ray cluster."""
