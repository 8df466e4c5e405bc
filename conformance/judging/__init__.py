"""Cases, oracle, bounds and the judge: how one verdict is reached."""
