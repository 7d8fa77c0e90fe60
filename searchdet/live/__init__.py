"""A folder that is judged again while a person looks at it: regions, events, and the session."""
