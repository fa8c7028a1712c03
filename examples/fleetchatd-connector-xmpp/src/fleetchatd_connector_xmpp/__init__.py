"""XMPP for fleetchatd: a room (XEP-0045) that keeps an archive (XEP-0313)."""
