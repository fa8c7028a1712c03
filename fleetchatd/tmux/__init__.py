"""What both ends of a tmux pane share: the connector, the relay and the operator's console.

It stands apart from daemon and client, so that each may use it, and needs the standard library
alone.
"""
