"""A change on its way to its outcome: what has to be sent for it, and what the answers tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_bitrix.client.batch import MOST_COMMANDS, CommandOutcome
from airflow_bitrix.client.wire import DONE_NOTHING, REPEATABLE, Call, Fault, FaultKind
from airflow_bitrix.core.errors import PortalAnswer
from airflow_bitrix.core.exact_links import exact_command
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.kind_words import linked_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.link_writes import SAVE, next_commands, replaces, save_command, write_commands
from airflow_bitrix.core.links import LinkSet
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.plan import Change, ChangeOutcome, Standing, is_begun, shown_contacts, standing
from airflow_bitrix.crm.owner_reads import links_told

TRIES = 4
"""How often one change is written before it counts as failed."""

LOSSES = 3
"""How many requests without an answer are no tries: with them, a write is sent as often as any other call."""

WAITS = 20
"""How often the portal may not take a change before that counts as a try."""


@dataclass(slots=True)
class ChangeTask:
    """One change on its way.

    :param change: What is to become of its owner.
    :param written: Whether its write was begun, by this run or an earlier one.
    :param settled: The outcome of an earlier run that left its owner as wanted; ``None`` where none did.
    :param lost: What the change counted on and is no more, in words.
    :param tries: How often it was written.
    :param losses: How many of the tries got no answer.
    :param waits: How often the portal did not take the request.
    :param before: The links that were there before the write, exactly; of those that somebody changed between
        the last look and the write, what a look shows.
    :param reason: Why it is not done yet, in the portal's words.
    :param owes_save: Whether the portal answered, and told that the save was not carried out.
    :param unsaved: Whether its links are right and only the save is missing.
    :param put_off: Whether the portal put it off for its operating time.
    :param company: The company that was there before a write that gives another one, 0 for none.
    :param remark: What is to be said of it though it was done.
    :param own_work: Whether what was there right before the last write was left by an earlier one of its own.
    :param is_step: Whether the write under way is the first of two, which is no try.
    :param was_step: Whether the last write was such a part.
    :param known: The links as ``items.get`` told them last, with the scalar contact seen beside them. Nothing
        is written without.
    :param read_back: The links right after the write.
    """

    change: Change
    written: bool = False
    settled: ChangeOutcome | None = None
    lost: str = ""
    tries: int = 0
    losses: int = 0
    waits: int = 0
    own_work: bool = False
    before: LinkSet | None = None
    company: int | None = None
    reason: str = ""
    owes_save: bool = False
    unsaved: bool = False
    put_off: bool = False
    remark: str = ""
    is_step: bool = False
    was_step: bool = False
    known: LinkSet | None = None
    read_back: LinkSet | None = None

    @property
    def commands(self) -> list[Call]:
        """The calls that write it, and where it matters one that reads the exact links back."""
        change = self.change
        wanted = [] if self.unsaved else next_commands(change, self.known or change.before)
        if change.save:
            wanted = [*wanted, save_command(change)]
        if change.wants_exact:
            wanted = [*wanted, exact_command(change.owner)]
        return [Call(*command) for command in wanted]

    @property
    def size(self) -> int:
        """Commands that it takes in all: one of them, in the request before, reads its exact links."""
        return max(len(self.commands), len(write_commands(self.change))) + 1

    @property
    def replaces(self) -> bool:
        """Whether it is written by ``items.set``."""
        return replaces(self.change)

    @property
    def is_spent(self) -> bool:
        """Whether it was written as often as it may be."""
        return self.tries - min(self.losses, LOSSES) >= TRIES

    @property
    def beside(self) -> int:
        """The number of changes that may share a request with it, itself among them.

        Half as many after each request without an answer: what kills its requests is alone in time, and
        others do not fail with it.
        """
        return max(MOST_COMMANDS >> self.losses, 1)

    @property
    def repeat(self) -> int:
        """The number of the repeat that follows, 0 where none does or none has to be waited for.

        What got no answer may still be under way; what was answered is repeated at once, the first time.
        """
        if not self.reason or self.put_off or self.is_spent:
            return 0
        return self.losses or max(self.tries - 1, 0)

    def refined(self, now: OwnerState, *, exactly: bool) -> OwnerState | None:
        """Give what is known exactly where a look shows the same, ``None`` where it has to be asked for.

        :param exactly: Whether it has to be known exactly in any case.
        """
        if self.known is not None and self.known.agrees_with(now.links):
            return replace(now, links=self.known)
        self.known = None
        hidden = self.change.wants_exact and self.change.after.agrees_with(now.links)
        return None if exactly or hidden else now

    def begin(self) -> LinkSet:
        """Begin a write, and give what is there before it: the journal keeps that before the write leaves."""
        known = self.known or self.change.before
        # What an earlier write of the same change left is not what was there before it.
        is_own = self.change.after.agrees_with(known) or is_begun(self.change, known)
        self.own_work = self.written and (self.unsaved or is_own)
        if self.before is None or not self.own_work:
            self.before = known
        if self.company is None:
            self.company = self.change.company_before
        self.written = True
        # Once: what a portal says that it has done, and does not show, is tried as often as anything else.
        is_part = len(next_commands(self.change, known)) < len(write_commands(self.change))
        self.is_step, self.was_step = is_part and not self.was_step, is_part
        return self.before

    def stands(self, now: OwnerState) -> tuple[Standing, str]:
        """Say how it stands against what the portal shows now, as :func:`.standing` says of a change."""
        found, difference = standing(self.change, now, begun=self.written)
        return ("unsaved", "") if found == "done" and self.owes_save else (found, difference)

    def learn(self, said: Sequence[CommandOutcome], there: OwnerState | None, *, answered: bool) -> None:
        """Take from the commands' outcomes what was done and why something failed.

        :param answered: Whether the request was answered: what a command failed with is the portal's word.
        :param there: The owner as a look in the same request showed it before the write; ``None`` where that
            did not come off.
        """
        self.known = self.read_back = None
        writes = len(said) - self.change.wants_exact
        said = [*map(_yes_or_no, said[:writes]), *said[writes:]]
        if self.change.save:
            said[writes - 1] = _made(said[writes - 1])
        faults = [outcome.fault for outcome in said if outcome.fault]
        kinds = {fault.kind for fault in faults}
        self.put_off = FaultKind.RESTING in kinds and kinds <= REPEATABLE
        if len(faults) == len(said) and kinds <= DONE_NOTHING:
            self.waits += not self.put_off
            self.tries += self.waits > WAITS
            self.reason = str(faults[0].answer)
            return  # the portal did not take the request, as it says
        self.tries += not (self.put_off or (self.is_step and not faults))
        lost = not answered and kinds <= REPEATABLE
        self.losses += lost and not self.put_off
        if family_of(self.change.owner.kind).is_saved and (said[0].ok or self.losses >= LOSSES):
            # Each save starts the portal's automation: one that was carried out is not made again, whatever
            # the automation has made of it.
            self.tries = TRIES + LOSSES
        if self.change.save:
            save = said[writes - 1]
            # Some saves show in the owner. Of another one that was lost nothing is known: it may
            # have started the portal's automation, and is not made again.
            unknown = not answered or _is_untold(save)
            self.owes_save = not (save.ok or unknown or self.change.shows_save)
        if there is not None:
            self._compare(there.links)
            self._compare_company(there.company_id)
        if self.change.wants_exact:
            self.read_back = links_told(self.change.owner, said[-1])
        # The portal's refusal says more than a passing failure beside it.
        faults.sort(key=lambda fault: fault.kind in REPEATABLE)
        self.reason = str(faults[0].answer) if faults else ""
        if faults and faults[0].kind not in REPEATABLE:
            self.tries = TRIES + LOSSES

    def _compare(self, there: LinkSet) -> None:
        """Note what the write took away of what somebody did after the last look."""
        change, before = self.change, self.before or self.change.before
        # Where only the save is missing, the links were right when they were looked at.
        expected = change.after if self.unsaved else before
        if expected.agrees_with(there) or change.after.agrees_with(there):
            return
        if self.own_work and is_begun(change, there):
            return
        shown = shown_contacts(there)
        self.remark = gettext(
            "somebody changed it after it was looked at; overwritten: {kinds} {shown}",
            shown=shown,
            **linked_words(change.owner.kind),
        )
        # None at all may be a poor answer, and what was seen a moment ago is worth more. Nor does what
        # follows a write of its own take the place of what was there before that one.
        if there.links and not self.own_work:
            self.before = there

    def _compare_company(self, there: int) -> None:
        """Note the company that the write took off, where somebody set it after the last look."""
        if self.company is None or there in (self.company, self.change.company):
            return
        self.company = there
        told = gettext(
            "somebody changed it after it was looked at; overwritten: company {company}",
            company=str(there or gettext("none")),
        )
        self.remark = "; ".join(filter(None, (self.remark, told)))

    @property
    def is_confirmed(self) -> bool:
        """Whether the links were as wanted right after the write."""
        after = self.change.after
        return self.read_back is not None and after.agrees_with(self.read_back.with_scalar(after.shown_id))


def _made(save: CommandOutcome) -> CommandOutcome:
    """Take a save that was answered with no for refused: of links a no says that there was nothing to do."""
    if save.answer is None or save.answer.result:
        return save
    said = gettext("the portal answered the save with no")
    return CommandOutcome(save.call, fault=Fault(FaultKind.REJECTED, PortalAnswer(text=said)))


def _is_untold(outcome: CommandOutcome) -> bool:
    """Whether the portal answered, and did not tell what became of this command."""
    fault = outcome.fault
    return fault is not None and fault.kind is FaultKind.BROKEN and not fault.answer.code


def _yes_or_no(outcome: CommandOutcome) -> CommandOutcome:
    """Take the outcome of a write for lost where it is not one of the answers that the portal gives."""
    if outcome.answer is None or isinstance(outcome.answer.result, bool):
        return outcome
    if outcome.call.method == SAVE and isinstance(outcome.answer.result, Mapping):
        return (
            outcome  # with the item as it is now; what is there is looked at afterwards, as after any write
        )
    said = gettext("the answer to the write says neither yes nor no")
    return CommandOutcome(outcome.call, fault=Fault(FaultKind.BROKEN, PortalAnswer(text=said)))
