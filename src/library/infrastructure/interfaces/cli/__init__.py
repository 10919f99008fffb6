"""The command `nanobrain-data`: thin, it parses, calls the library, and prints.

- `grammar`: what can be typed. It imports click and nothing heavier, so that help and completion are quick.
- `actions`: what the commands do, one file a group. They are imported when they are run.
- `output`: how that is shown: to people, to pipes, and as JSON.
"""
