"""Where the LLM is asked: here, or on the workers of a Ray cluster."""
