"""Millions of random steps over every protocol, and what must hold after each of them.

    chance      small sets to draw from: agents, ids, values, times, profiles
    drawers     which chance-driven calls and events each protocol gets
    invariants  what must hold after a step, and in the end
    play        one negotiation, from its call to its oblivion
    crew        many of them, on every core

A protocol brings a module with `call` and `event`, see `drawers`; without one it gets
events of every kind, drawn alike.
"""
