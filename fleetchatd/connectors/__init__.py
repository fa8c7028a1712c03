"""What fleetchatd can carry a conversation over: one module a kind of chat."""
