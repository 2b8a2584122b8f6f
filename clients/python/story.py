"""Shows how a service in Python works with Kontor.

It asks a customer for consent, follows what happens, and reads the bank data.
README.md tells how to run it.
"""

import collections
import contextlib
import decimal
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kontor.banking.v1 import banking_pb2, banking_service_pb2, banking_service_pb2_grpc
from kontor.consent.v1 import consent_pb2, consent_service_pb2, consent_service_pb2_grpc
from kontor.type.v1 import money_pb2

# Small, so that there are several pages of transactions. Leave it out, and a page holds 100.
PAGE_SIZE = 50
# Seconds for one call. A watch is given them too, so that the story ends in any case.
TIMEOUT = 60

Consent = consent_pb2.Consent
ConsentEvent = consent_pb2.ConsentEvent
StreamTransactionsResponse = banking_service_pb2.StreamTransactionsResponse

# Enough digits for any sum of amounts, and an error in place of rounding.
EXACT = decimal.Context(prec=100, traps=[decimal.Inexact, decimal.InvalidOperation])


@dataclass
class Tally:
    """Counts amounts and adds them up exactly, each currency by itself.

    float would not do: 0.1 and 0.2 make 0.3.
    """

    count: int = 0
    totals: dict[str, decimal.Decimal] = field(
        default_factory=lambda: collections.defaultdict(decimal.Decimal)
    )

    def add(self, amount: money_pb2.Money) -> None:
        value = decimal.Decimal(amount.value)
        self.totals[amount.currency_code] = EXACT.add(self.totals[amount.currency_code], value)
        self.count += 1

    def __str__(self) -> str:
        totals = [f"{total:f} {currency}" for currency, total in sorted(self.totals.items())]
        return f"{self.count}, adding up to {' and '.join(totals)}"


@dataclass
class Outcome:
    """What the story came to."""

    consent: Consent
    events: list[ConsentEvent]
    accounts: list[banking_pb2.Account]
    pages: int
    listed: Tally  # with ListTransactions
    streamed: Tally  # with StreamTransactions


def tell(address: str, key: str, say: Callable[[str], None] = print) -> Outcome:
    """Tells the story, a line at a time.

    The sandbox listens on loopback without TLS; elsewhere use grpc.secure_channel.
    """
    with grpc.insecure_channel(address) as channel:
        return Story(channel, key, say).tell()


class Story:
    def __init__(self, channel: grpc.Channel, key: str, say: Callable[[str], None]) -> None:
        self.consents = consent_service_pb2_grpc.ConsentServiceStub(channel)
        self.banking = banking_service_pb2_grpc.BankingServiceStub(channel)
        # What every call is given: the key, and how long it may take.
        self.options = {"metadata": [("authorization", f"Bearer {key}")], "timeout": TIMEOUT}
        self.say = say

    def tell(self) -> Outcome:
        # The token is taken before there is a consent, so that the watch shows it from its first event.
        token = self.present()
        consent = self.create_consent()
        self.say(f"{consent.name}: the customer is to open {consent.link.uri}")
        consent, events = self.follow(consent.name, token)

        accounts = self.accounts(consent.name)
        listed, pages = self.list(consent.name)
        streamed = self.stream(consent.name)
        if listed != streamed:
            raise RuntimeError(f"listed {listed}, but streamed {streamed}")
        self.say(f"{len(events)} events, {len(accounts)} accounts")
        self.say(f"transactions: {streamed}; the same in {pages} pages and as a stream")

        try:
            self.consents.GetConsent(
                consent_service_pb2.GetConsentRequest(name="consents/unknown"), **self.options
            )
        except grpc.RpcError as err:
            self.say(f"a consent that does not exist: {err.code().name}, reason {reason(err)}")
        return Outcome(consent, events, accounts, pages, listed, streamed)

    def present(self) -> str:
        """Gives the token behind the present state of all consents.

        A service keeps the last token that it dealt with, and asks for this one only
        when it has none.
        """
        with self.watch("") as messages:
            for message in messages:
                if message.resume_token:
                    return message.resume_token
        raise RuntimeError("the watch ended before the present state was complete")

    def create_consent(self) -> Consent:
        return self.consents.CreateConsent(
            consent_service_pb2.CreateConsentRequest(
                consent=Consent(provider="fimento", market="SE", reference="loan-application-1"),
                psu=consent_service_pb2.Psu(national_id="199503096316"),
                # Kept with the application, it makes a repeated call harmless: the answer is
                # the same consent.
                request_id=str(uuid.uuid4()),
            ),
            **self.options,
        )

    def follow(self, name: str, token: str) -> tuple[Consent, list[ConsentEvent]]:
        """Gives the consent as it is when its data is ready, and its events until then.

        In the middle it hangs up and goes on behind the last event that it dealt with;
        after UNAVAILABLE, or a restart of either side, it would go on in the same way.
        """
        events = []
        while True:
            with self.watch(token) as messages:
                for message in messages:
                    token, event, consent = message.resume_token, message.event, message.consent
                    if not message.HasField("event") or consent.name != name:
                        continue  # a heartbeat, or another consent
                    self.say(describe(event, consent))
                    events.append(event)
                    if event.type == ConsentEvent.LINK_ISSUED:
                        self.approve(name)
                    if event.type == ConsentEvent.FETCH_STARTED:
                        break
                    if consent.data_stage == consent_pb2.DataStage.READY:
                        return consent, events
            self.say("     hung up; resuming")

    def approve(self, name: str) -> None:
        """Stands in for the customer, who would decide on the bank's pages.

        Test environments have it.
        """
        self.consents.SimulateDecision(
            consent_service_pb2.SimulateDecisionRequest(
                name=name, decision=consent_pb2.Decision.APPROVED
            ),
            **self.options,
        )

    @contextlib.contextmanager
    def watch(self, token: str) -> Iterator[Iterator[consent_service_pb2.WatchConsentsResponse]]:
        """Follows all consents, from the present state or from behind a token."""
        messages = self.consents.WatchConsents(
            consent_service_pb2.WatchConsentsRequest(resume_token=token), **self.options
        )
        try:
            yield messages
        finally:
            messages.cancel()

    def accounts(self, consent: str) -> list[banking_pb2.Account]:
        response = self.banking.ListAccounts(
            banking_service_pb2.ListAccountsRequest(parent=consent), **self.options
        )
        for account in response.accounts:
            self.say(f"{account.display_name}: {account.balance.value} {account.balance.currency_code}")
        return list(response.accounts)

    def list(self, consent: str) -> tuple[Tally, int]:
        """Reads the transactions of all accounts page by page.

        For a caller that shows pages or stops early.
        """
        tally, pages = Tally(), 0
        request = banking_service_pb2.ListTransactionsRequest(
            parent=f"{consent}/accounts/-", page_size=PAGE_SIZE
        )
        while True:
            page = self.banking.ListTransactions(request, **self.options)
            pages += 1
            for transaction in page.transactions:
                tally.add(transaction.amount)
            if not page.next_page_token:
                return tally, pages
            request.page_token = page.next_page_token

    def stream(self, consent: str) -> Tally:
        """Reads the same transactions in one go, for a caller that wants all of them.

        A stream that ends without END is not whole, and nor is one whose END counts more
        than came.
        """
        tally = Tally()
        request = banking_service_pb2.StreamTransactionsRequest(parent=consent)
        for message in self.banking.StreamTransactions(request, **self.options):
            if message.kind == StreamTransactionsResponse.TRANSACTION:
                tally.add(message.transaction.amount)
            elif message.kind == StreamTransactionsResponse.END:
                if message.count != tally.count:
                    raise RuntimeError(f"{tally.count} transactions came, of {message.count}")
                return tally
            # Anything else is a heartbeat, or what a later version sends.
        raise RuntimeError("the stream of transactions ended before END")


def describe(event: ConsentEvent, consent: Consent) -> str:
    sequence = event.name.rpartition("/")[2]
    kind = ConsentEvent.Type.Name(event.type)
    status = Consent.Status.Name(consent.status)
    stage = consent_pb2.DataStage.Value.Name(consent.data_stage)
    return f"{sequence:>3}  {kind:24} {status} / {stage}"


def reason(err: grpc.RpcError) -> str:
    """Reads why a call failed, one of kontor.error.v1.Error.Reason.

    It stands in the google.rpc.ErrorInfo of the status. It is empty for an error that is
    not Kontor's, such as one of the connection.
    """
    status = rpc_status.from_call(err)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status else ():
        if detail.Unpack(info) and info.domain == "kontor.dev":
            return info.reason
    return ""


if __name__ == "__main__":
    if not os.environ.get("KONTOR_KEY"):
        sys.exit("set KONTOR_KEY to the key that the sandbox prints")
    try:
        tell(os.environ.get("KONTOR_ADDRESS", "127.0.0.1:9090"), os.environ["KONTOR_KEY"])
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
