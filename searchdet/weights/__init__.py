"""The one loader of weight files, and where they are looked for."""
