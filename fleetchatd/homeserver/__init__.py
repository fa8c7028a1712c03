"""A private Matrix homeserver for those who have none: `fleetchat homeserver`."""
