"""Looking, with the help of the kind's guide, whether what is known so far works."""

from __future__ import annotations

import sys
from dataclasses import replace

from fleetchatd.connectors.guide import Finding, Guide
from fleetchatd.logs import without_secrets
from fleetchatd.setup.draft import Draft
from fleetchatd.setup.findings import guarded_live, line_of


class Look:
    """Looks as often as needed, and says a thing only once.

    Args:
        with_oks: whether to say also what is well.
    """

    def __init__(self, draft: Draft, *, with_oks: bool) -> None:
        self._draft = draft
        self._with_oks = with_oks
        self._said: set[Finding] = set()

    async def errors(self) -> list[Finding]:
        """Look at everything, and say on standard error what was found.

        Returns:
            What keeps the conversation from working and is not merely unanswered yet.
        """
        guide, draft = self._draft.guide, self._draft
        if not isinstance(guide, Guide):
            return []
        unanswered = self._unanswered()
        errors = []
        async for finding in guarded_live(
            draft.kind, lambda: guide.examine(draft.settings, draft.context)
        ):
            if finding.level == "error" and finding.about in unanswered:
                continue
            self._say(finding)
            if finding.level == "error":
                errors.append(finding)
        return errors

    def _unanswered(self) -> set[str]:
        """What is going to be asked for, or is said elsewhere, so that no error need say it."""
        draft = self._draft
        unanswered = {*draft.missing(), *(() if draft.invite is None else draft.room_settings)}
        secret = draft.secret_finding()
        if secret is not None and secret.about is not None:
            unanswered.add(secret.about)
        return unanswered

    def _say(self, finding: Finding) -> None:
        again = finding in self._said and finding.level != "error"
        self._said.add(finding)
        if not again and (self._with_oks or finding.level != "ok"):
            show(_fit_to_be_shown(finding, self._draft))


def _fit_to_be_shown(finding: Finding, draft: Draft) -> Finding:
    """With commands as they must be typed here, and without a token that a server has repeated."""
    remedy = None if finding.remedy is None else draft.named.typed(finding.remedy)
    return replace(finding, what=without_secrets(finding.what), remedy=remedy)


def show(finding: Finding) -> None:
    """Show a finding beside the output."""
    print(line_of(finding), file=sys.stderr, flush=True)
