"""The tmux connector."""
