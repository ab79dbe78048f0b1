"""A server: REST with batching across requests, a page to try it, MCP."""
