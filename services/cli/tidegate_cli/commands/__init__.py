"""The command line itself: names, options, help. Bodies import what they need when they run, so that `--help` takes 0.2 s."""
