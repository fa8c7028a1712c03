"""A private Matrix homeserver on loopback, for those who have none: `fleetchat homeserver`."""
