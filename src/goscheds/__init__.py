"""goscheds: a job scheduler with one law over every store."""
