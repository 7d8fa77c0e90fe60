"""Is everything sound: environment, folders, weight files, and what networks compute."""
