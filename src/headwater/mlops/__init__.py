"""The model lifecycle: features, training, release, serving, prediction log, labels, quarantine."""
