"""spaCy, Presidio, Haystack, LangChain, pandas: the tasks inside other people's pipelines."""
