"""Readers of other tools' annotation files, for exemplars and ground truth alike."""
