"""What a store and its workers reach on this machine: rates, latencies, and the work that each job costs.

Everything is measured from outside, with the defaults of a user who sets nothing: real worker processes, handlers that
do nothing, acknowledgement after the handler, and the store's durability as its server has it. Each part works in a
namespace of its own, which is erased afterwards.

``parts.measure`` takes a ``plan.Plan`` and gives a ``figures.Report``. This module imports nothing, as a worker whose
memory is measured imports it.
"""
