"""The digest of a span: what happened, what it saved, what was missed, what comes."""
