"""Files: written whole or not at all, arrays with a checksum, the cache, hashes, JSON values. Import the module that is needed."""
