"""Bridges to other tools by their own protocols. Each translates what it is asked and what is answered
(pure functions over JSON and small dataclasses); what finds and learns is a ``Predictor``."""
