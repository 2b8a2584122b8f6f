"""Tells the story to a sandbox of its own, the binary in KONTOR_GATEWAY."""

import contextlib
import decimal
import json
import os
import pathlib
import subprocess
import time
import types
import urllib.request
from collections.abc import Iterator

import grpc
import pytest
from kontor.banking.v1 import banking_service_pb2
from kontor.consent.v1 import consent_pb2
from kontor.type.v1 import money_pb2

import story


@pytest.fixture(name="sandbox")
def start_sandbox(tmp_path: pathlib.Path) -> Iterator[types.SimpleNamespace]:
    """A sandbox on free ports with a data directory of its own."""
    gateway = os.environ.get("KONTOR_GATEWAY")
    assert gateway, "set KONTOR_GATEWAY to the gateway's binary, such as one that scripts/build.sh makes"
    ready_file = tmp_path / "ready.json"
    command = [gateway, "sandbox", "--data", tmp_path / "data", "--step", "100ms", "--ready-file", ready_file]
    for listener in "--grpc", "--http", "--admin", "--fimento", "--finoos":
        command += [listener, "127.0.0.1:0"]
    process = subprocess.Popen(command)
    try:
        yield content(ready_file, process)
        process.terminate()
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()  # does nothing once it has ended
        process.wait()


def content(ready_file: pathlib.Path, process: subprocess.Popen) -> types.SimpleNamespace:
    """Waits up to 30 seconds for the file. It appears complete, since the gateway moves it into place."""
    end = time.monotonic() + 30
    while not ready_file.exists():
        assert time.monotonic() < end, "the sandbox was not ready within 30 seconds"
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(timeout=0.01)
            pytest.fail(f"the sandbox ended with status {status} before it was ready")
    return types.SimpleNamespace(**json.loads(ready_file.read_text()))


def test_story(sandbox: types.SimpleNamespace) -> None:
    lines = []
    outcome = story.tell(sandbox.grpc, sandbox.key, lines.append)
    print(*lines, sep="\n")

    check_events(outcome)
    assert len(outcome.accounts) == 3, "current account, savings and card"
    assert outcome.pages >= 3, "too few pages to try the page token"
    count, total = over_rest(sandbox, outcome.consent.name)
    for tally in outcome.listed, outcome.streamed:
        assert (tally.count, dict(tally.totals)) == (count, {"SEK": total})
    assert "     hung up; resuming" in lines
    assert "a consent that does not exist: NOT_FOUND, reason CONSENT_NOT_FOUND" in lines


def check_events(outcome: story.Outcome) -> None:
    """Checks that the history of an approval came whole, once and in order."""
    consent, events = outcome.consent, outcome.events
    assert [event.name for event in events] == [
        f"{consent.name}/events/{sequence}" for sequence in range(1, len(events) + 1)
    ]
    kinds = [consent_pb2.ConsentEvent.Type.Name(event.type) for event in events]
    assert kinds[:5] == ["CREATED", "LINK_ISSUED", "BANK_SELECTED", "BANK_AUTHORIZED", "FETCH_STARTED"]
    # The customer may decide before or after the bank has delivered.
    assert sorted(kinds[5:7]) == ["APPROVED", "FETCH_COMPLETED"]
    assert kinds[7:] == ["CATEGORISATION_STARTED", "CATEGORISATION_COMPLETED", "INSIGHTS_STARTED", "COMPLETED"]
    assert consent.event_count == len(events)
    assert consent.status == consent_pb2.Consent.AUTHORIZED
    assert consent.data_stage == consent_pb2.DataStage.READY


def over_rest(sandbox: types.SimpleNamespace, consent: str) -> tuple[int, decimal.Decimal]:
    """Reads the transactions by the other way, REST, in one page, and adds them up in hundredths."""
    request = urllib.request.Request(
        f"{sandbox.http}/v1/{consent}/accounts/-/transactions?pageSize=1000",
        headers={"authorization": f"Bearer {sandbox.key}"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        body = json.load(response)
    assert not body.get("nextPageToken"), "more transactions than a page holds"
    assert {transaction["amount"]["currencyCode"] for transaction in body["transactions"]} == {"SEK"}
    values = [transaction["amount"]["value"] for transaction in body["transactions"]]
    assert all(value[-3] == "." for value in values)
    return len(values), decimal.Decimal(sum(int(value.replace(".", "")) for value in values)).scaleb(-2)


@pytest.mark.parametrize(("count", "whole"), [(1, True), (2, False), (None, False)])
def test_stream_must_be_whole(count: int | None, whole: bool) -> None:
    """A stream that was cut off must not pass for all transactions."""
    response = banking_service_pb2.StreamTransactionsResponse
    messages = [
        response(kind=response.TRANSACTION, transaction={"amount": {"value": "-24.99", "currency_code": "SEK"}}),
        response(kind=response.HEARTBEAT),
    ]
    if count is not None:
        messages.append(response(kind=response.END, count=count))
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        teller = story.Story(channel, "kontor_none", print)
        teller.banking = types.SimpleNamespace(StreamTransactions=lambda request, **options: iter(messages))
        if whole:
            assert teller.stream("consents/c").count == count
        else:
            with pytest.raises(RuntimeError):
                teller.stream("consents/c")


def test_sums_are_exact() -> None:
    tally = story.Tally()
    for value, currency in [
        ("0.1", "SEK"),
        ("0.2", "SEK"),
        ("12345678901234567890123456789012.000000000000000001", "SEK"),
        ("-24.99", "EUR"),
        ("-0.00", "EUR"),
    ]:
        tally.add(money_pb2.Money(value=value, currency_code=currency))
    assert str(tally) == (
        "5, adding up to -24.99 EUR and 12345678901234567890123456789012.300000000000000001 SEK"
    )


def test_error_of_the_connection_has_no_reason() -> None:
    # Nothing listens on port 1 of loopback.
    with pytest.raises(grpc.RpcError) as raised:
        story.tell("127.0.0.1:1", "kontor_none", lambda line: None)
    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
    assert story.reason(raised.value) == ""
