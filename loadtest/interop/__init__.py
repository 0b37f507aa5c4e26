"""Strategies that nobody here wrote bargain over our protocol: those of NegMAS.

NegMAS (Y. Mohammad et al., https://negmas.readthedocs.io) is a library of negotiation strategies
with an engine of its own, in which both parties live in one process. Here each party keeps a
mirror of that engine, and only offers, accepts and ends cross between them, as messages of ours.
What they agree on must be what they agree on inside NegMAS.

`games` knows neither NegMAS nor the wire, `mirror` is the one module that imports NegMAS, `live`
plays over gateways. `python -m loadtest.interop` makes the whole table; `make negmas` installs
NegMAS before, which the product does not need.
"""
