"""Five hundred agents and forty GPU slots: what each way of sharing them is worth.

The published experiment is a thought (bursts of ten minutes, two idle hours, deadlines of ten
minutes and of a day); the demand here is drawn from a seed, time is simulated, and every decision
is made by the code of `policy` that a gateway runs: tables, protocols, ledger, ratings, probes.

    world        who wants what, and until when
    exchange     runs one negotiation of any protocol to its end
    books        accounts, budgets and holds, checked at every entry
    arms         the ways of sharing: queues, auctions, bargains
    clock        one simulated half day of one arm, and its figures
    adversaries  liars, a hoarder, a crowd before the system class
    collusion    a low-bid ring, and who finds it
    rate_limit   a shared API limit with and without a market
    scale        what one decision costs, from 24 to 5,000 agents
    page         the tables of docs/market.md
"""
