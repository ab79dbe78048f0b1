"""Networks of published families that are not built from our heads, and how they read queries."""
