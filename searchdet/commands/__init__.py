"""The commands, a file each; all printing is in them and in console.py."""
