"""One file for every module; no network beyond this machine, no processes."""
