"""journal -> connector: everything that is on its way out.

- `outbox` takes messages in; a thread has a lane while it has something to send.
- `lane` is one thread's messages, in order.
- `delivery` is one message, attempted part by part until its end is known.
- `ends`: what came of a message is written until that is on disk, and then told.
- `expiry` ends what nobody wants any more.
- `abilities` are what a connector can do beside sending.
"""

from fleetchatd.outbox.outbox import Outbox

__all__ = ["Outbox"]
