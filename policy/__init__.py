"""Protocols as functions: state, event and time in, state and effects out.

Nothing in the pure modules of this folder reads a clock, draws a random number or knows what
a network is. `contract_net` is the protocol, `table` holds many negotiations, `acceptance` says
when a round closes and who wins, `utility` ranks offers by an expression, `auction` knows sealed
bids. What can happen is in `events`, what is asked for in `effects`.

    PolicyError                an acceptance profile that cannot be used (acceptance)
    UtilityError               an expression that cannot be used (utility)
"""
