"""What people would use instead, on the work of `loadtest.bench`, in processes of their own.

A peer is a system from the package index that carries messages between agents. Its program runs in
an environment of its own (`.venv/peers`, requirements/bench.txt), because its protobuf is not ours,
and so it imports nothing but this package, `loadtest.servers` and what is installed there.
`orders` stands on our side: it writes the work to a file, starts the program and reads what came.

    python -m loadtest.peers nats work.json      in .venv/peers; prints one line of JSON
    python -m loadtest.peers --which             which peers can be played here, or why not
"""
