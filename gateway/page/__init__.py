"""The operator's page: what one gateway shows in a browser, told anew every second.

    counters, tables ─▸ history, graph, floor ─▸ digest ─▸ viewers ─▸ server ─▸ files/page.mjs

Nothing here is called by what carries messages. A digest reads counters that exist; it is made
once a second for all viewers, and not at all while nobody looks.
"""
