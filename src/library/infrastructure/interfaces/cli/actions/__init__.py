"""What the commands do: plain functions, which are given a `Job` and the options by name."""
