"""The paper's experiments, in real time and in simulated time, by `llmx experiment run`.

cases, programme        what is run: cells of a table, experiments made of them
arrivals, bidding       when calls come, and what contractors do with them, from a seed
cast                    Alice and her contractors, without a clock and without a wire
weighty                 offers that a gateway's workers have to judge
simulated               the engine around them on a clock that jumps
live, usage             a gateway process around them on the clock of the wall, what it uses
round_facts, tally      from rounds to figures and rows
published, comparison   what the paper says, and ours beside it
claims, endurance,      what must hold of any run, of long ones, what the paper claims of
  paper_claims, drift,    policies, and how many workers are worth having
  knee
replayed                recorded negotiations once more, on other gateways
pages, pictures, shown  report.md, report.html, figures 3 to 7, the terminal
running, command        from a wish to an exit code
"""
