"""Tidegate's shared vocabulary: nouns, messages, the bus, and the way to the Kubernetes API. No service logic lives here."""
