"""Builds the parts of a command from its configuration: the one room that knows every class.

Its files import one another only as a command needs it: an audit loads nothing of what a sync is made of.
"""
