"""Performance once outcomes are known: by task, over groups and segments, with intervals."""
