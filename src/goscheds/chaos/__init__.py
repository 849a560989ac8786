"""Trouble on purpose: real processes on a store, a seeded schedule of faults, and a proof from what the clients saw.

``goscheds chaos URL`` runs it on any store that processes share; ``docs/reliability.md`` tells what came out.
"""
