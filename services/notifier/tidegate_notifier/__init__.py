"""The notifier: turns what was recorded into core Events, and tells outcomes to the outside."""
