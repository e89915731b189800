"""What holds the rooms together: configuration, wiring, the line itself and the user's façade."""
