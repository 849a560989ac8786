"""``python -m goscheds``: the command line."""

from goscheds.cli import main

main(prog_name="goscheds")
