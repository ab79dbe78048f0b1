"""spaCy, Presidio, Haystack, LangChain, LlamaIndex, pandas: the tasks in other pipelines."""
