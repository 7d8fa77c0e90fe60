"""The bank: exemplar vectors with their provenance; built, kept in a file, edited and audited."""
