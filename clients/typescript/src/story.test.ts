import assert from "node:assert/strict";
import { test } from "node:test";

import { Code, ConnectError } from "@connectrpc/connect";

import { Consent_Status, ConsentEvent_Type, DataStage_Value } from "../../../gen/ts/kontor/consent/v1/consent_pb.js";
import { type Sandbox, startSandbox } from "./sandbox.js";
import { connect, type Outcome, reason, tell } from "./story.js";

test("the story goes well", async (t) => {
  const sandbox = await startSandbox();
  t.after(() => sandbox.stop());
  const connection = connect(sandbox.grpc, sandbox.key);
  t.after(() => connection.close());
  const lines: string[] = [];
  const outcome = await tell(connection.transport, AbortSignal.timeout(60_000), (line) => {
    lines.push(line);
    t.diagnostic(line);
  });

  checkEvents(outcome);
  assert.equal(outcome.accounts.length, 3, "current account, savings and card");
  assert.ok(outcome.pages >= 3, `${outcome.pages} pages are too few to try the page token`);
  const expected = await overRest(sandbox, outcome.consent.name);
  assert.equal(`${outcome.listed}`, expected);
  assert.equal(`${outcome.streamed}`, expected);
  assert.ok(lines.includes("     hung up; resuming"));
  assert.ok(lines.includes("a consent that does not exist: NotFound, reason CONSENT_NOT_FOUND"));
});

/** Checks that the history of an approval came whole, once and in order. */
function checkEvents({ consent, events }: Outcome): void {
  assert.deepEqual(
    events.map((event) => event.name),
    events.map((_, i) => `${consent.name}/events/${i + 1}`),
  );
  const order = ["CREATED", "LINK_ISSUED", "BANK_SELECTED", "BANK_AUTHORIZED", "FETCH_STARTED"];
  const end = ["CATEGORISATION_STARTED", "CATEGORISATION_COMPLETED", "INSIGHTS_STARTED", "COMPLETED"];
  const types = events.map((event) => ConsentEvent_Type[event.type]);
  // The customer may decide before or after the bank has delivered.
  const late = types.indexOf("APPROVED") > types.indexOf("FETCH_COMPLETED");
  assert.deepEqual(types, [...order, ...(late ? ["FETCH_COMPLETED", "APPROVED"] : ["APPROVED", "FETCH_COMPLETED"]), ...end]);
  assert.equal(consent.eventCount, events.length);
  assert.equal(consent.status, Consent_Status.AUTHORIZED);
  assert.equal(consent.dataStage, DataStage_Value.READY);
}

/** Reads the transactions by the other way, REST, in one page, and adds them up in hundredths. */
async function overRest({ http, key }: Sandbox, consent: string): Promise<string> {
  const response = await fetch(`${http}/v1/${consent}/accounts/-/transactions?pageSize=1000`, {
    headers: { authorization: `Bearer ${key}` },
  });
  assert.equal(response.status, 200);
  const body = (await response.json()) as { transactions: { amount: { value: string; currencyCode: string } }[]; nextPageToken?: string };
  assert.ok(!body.nextPageToken, "more transactions than a page holds");
  let hundredths = 0n;
  for (const { amount } of body.transactions) {
    assert.equal(amount.currencyCode, "SEK");
    assert.match(amount.value, /^-?[0-9]+[.][0-9]{2}$/);
    hundredths += BigInt(amount.value.replace(".", ""));
  }
  assert.ok(hundredths > 0n);
  return `${body.transactions.length}, adding up to ${`${hundredths}`.replace(/(..)$/, ".$1")} SEK`;
}

test("an error of the connection has no reason", async () => {
  // Nothing listens on port 1 of loopback.
  const connection = connect("127.0.0.1:1", "kontor_none");
  await assert.rejects(
    () => tell(connection.transport, AbortSignal.timeout(60_000), () => undefined),
    (err) => ConnectError.from(err).code === Code.Unavailable && reason(err) === "",
  );
  connection.close();
});
