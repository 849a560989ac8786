"""Jobs in SQL databases: one set of verbs, and one small module for each dialect."""
