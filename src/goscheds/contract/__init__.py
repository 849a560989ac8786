"""The law as tests."""
