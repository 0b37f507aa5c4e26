"""A cluster under load: Locust says how many agents there are, asyncio drivers play them.

    python -m loadtest.load --gateways 3 --agents 500 --shape soak       what `make load` runs
    python -m loadtest.load --curve 1,2,3,4 --agents 120                 what `make load-curve` runs

    conductor ── starts ──> etcd, gateways
        └─ starts ──> Locust (.venv/load) ── a user is an agent ──> DriverLink
                                                                        │ lines of JSON
                                                 driver (asyncio, uvloop), one per Locust worker

Locust lives on gevent, under which reads of gRPC streams have hung (grpc issue 27340), so no stream
is read there: each worker has a child that plays its agents, and turns what the child reports into
Locust's events. `plan`, `shapes` and `driver_link` are read by both and import the standard library
only. What is measured on which side is said in docs/performance.md.
"""
