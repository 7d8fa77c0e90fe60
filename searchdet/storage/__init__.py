"""Files written whole or not at all, arrays, the cache, hashes, JSON values: import what is needed."""
