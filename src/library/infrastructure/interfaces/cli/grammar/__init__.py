"""What can be typed: the commands with their options and their help."""
