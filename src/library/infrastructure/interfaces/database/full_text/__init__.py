"""Full-text search, as far as it is the same on every database: pure Python that knows no driver.

What becomes of a text before it is indexed, what a query means, how found exchanges are ranked and which part
of them is shown is decided here, so that all databases agree.
"""
