// Shows how a service in TypeScript works with Kontor: it asks a customer for consent, follows what happens, and reads the bank data.

import { randomUUID } from "node:crypto";

import { type CallOptions, type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

import { ErrorInfoSchema } from "../../../gen/ts/google/rpc/error_details_pb.js";
import type { Account } from "../../../gen/ts/kontor/banking/v1/banking_pb.js";
import { BankingService, StreamTransactionsResponse_Kind } from "../../../gen/ts/kontor/banking/v1/banking_service_pb.js";
import {
  type Consent,
  Consent_Status,
  type ConsentEvent,
  ConsentEvent_Type,
  DataStage_Value,
  Decision_Value,
} from "../../../gen/ts/kontor/consent/v1/consent_pb.js";
import { ConsentService, type WatchConsentsResponse } from "../../../gen/ts/kontor/consent/v1/consent_service_pb.js";
import { Tally } from "./tally.js";

/** Small, so that there are several pages of transactions. Leave it out, and a page holds 100. */
const pageSize = 50;

/** What the story came to. */
export interface Outcome {
  consent: Consent;
  events: ConsentEvent[];
  accounts: Account[];
  pages: number;
  /** With ListTransactions. */
  listed: Tally;
  /** With StreamTransactions. */
  streamed: Tally;
}

/**
 * Prepares a connection on which every call carries the key. The sandbox listens on loopback without TLS; elsewhere the address begins with
 * https.
 */
export function connect(address: string, key: string): { transport: Transport; close: () => void } {
  const baseUrl = `http://${address}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager,
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${key}`);
        return next(request);
      },
    ],
  });
  return { transport, close: () => sessionManager.abort() };
}

/** Tells the story, a line at a time, and ends it when the signal says so. */
export async function tell(transport: Transport, signal: AbortSignal, print: (line: string) => void): Promise<Outcome> {
  return new Story(transport, signal, print).tell();
}

class Story {
  private readonly consents: Client<typeof ConsentService>;
  private readonly banking: Client<typeof BankingService>;
  private readonly options: CallOptions;

  constructor(
    transport: Transport,
    private readonly signal: AbortSignal,
    private readonly print: (line: string) => void,
  ) {
    this.consents = createClient(ConsentService, transport);
    this.banking = createClient(BankingService, transport);
    this.options = { signal };
  }

  async tell(): Promise<Outcome> {
    // The token is taken before there is a consent, so that the watch shows it from its first event.
    const token = await this.present();
    const created = await this.createConsent();
    this.print(`${created.name}: the customer is to open ${created.link?.uri}`);
    const { consent, events } = await this.follow(created, token);

    const accounts = await this.accounts(consent.name);
    const { tally: listed, pages } = await this.list(consent.name);
    const streamed = await this.stream(consent.name);
    if (`${listed}` !== `${streamed}`) {
      throw new Error(`listed ${listed}, but streamed ${streamed}`);
    }
    this.print(`${events.length} events, ${accounts.length} accounts`);
    this.print(`transactions: ${streamed}; the same in ${pages} pages and as a stream`);

    try {
      await this.consents.getConsent({ name: "consents/unknown" }, this.options);
    } catch (err) {
      this.print(`a consent that does not exist: ${Code[ConnectError.from(err).code]}, reason ${reason(err)}`);
    }
    return { consent, events, accounts, pages, listed, streamed };
  }

  /**
   * Gives the token behind the present state of all consents. A service keeps the last token that it dealt with, and asks for this one only
   * when it has none.
   */
  private async present(): Promise<string> {
    for await (const message of this.watch("")) {
      if (message.resumeToken !== undefined) {
        return message.resumeToken;
      }
    }
    throw new Error("the watch ended before the present state was complete");
  }

  private createConsent(): Promise<Consent> {
    return this.consents.createConsent(
      {
        consent: { provider: "fimento", market: "SE", reference: "loan-application-1" },
        psu: { nationalId: "199503096316" },
        // Kept with the application, it makes a repeated call harmless: the answer is the same consent.
        requestId: randomUUID(),
      },
      this.options,
    );
  }

  /**
   * Notes each event of the consent until its data is ready, and what the consent then is. In the middle it hangs up and goes on behind the
   * last event that it dealt with; after Code.Unavailable, or a restart of either side, it would go on in the same way.
   */
  private async follow({ name }: Consent, token: string): Promise<{ consent: Consent; events: ConsentEvent[] }> {
    const events: ConsentEvent[] = [];
    for (;;) {
      for await (const { event, consent, resumeToken } of this.watch(token)) {
        token = resumeToken ?? token;
        if (event === undefined || consent?.name !== name) {
          continue; // a heartbeat, or another consent
        }
        const sequence = event.name.slice(event.name.lastIndexOf("/") + 1).padStart(3);
        const type = ConsentEvent_Type[event.type].padEnd(24);
        this.print(`${sequence}  ${type} ${Consent_Status[consent.status]} / ${DataStage_Value[consent.dataStage]}`);
        events.push(event);
        if (event.type === ConsentEvent_Type.LINK_ISSUED) {
          await this.approve(name);
        }
        if (event.type === ConsentEvent_Type.FETCH_STARTED) {
          break;
        }
        if (consent.dataStage === DataStage_Value.READY) {
          return { consent, events };
        }
      }
      this.print("     hung up; resuming");
    }
  }

  /** Stands in for the customer, who would decide on the bank's pages. Test environments have it. */
  private async approve(name: string): Promise<void> {
    await this.consents.simulateDecision({ name, decision: Decision_Value.APPROVED }, this.options);
  }

  /** Follows all consents, from the present state or from behind a token. It hangs up when the caller breaks out. */
  private async *watch(resumeToken: string): AsyncGenerator<WatchConsentsResponse> {
    const hangUp = new AbortController();
    const signal = AbortSignal.any([hangUp.signal, this.signal]);
    try {
      yield* this.consents.watchConsents({ resumeToken }, { signal });
    } finally {
      hangUp.abort();
    }
  }

  private async accounts(parent: string): Promise<Account[]> {
    const { accounts } = await this.banking.listAccounts({ parent }, this.options);
    for (const { displayName, balance } of accounts) {
      this.print(`${displayName}: ${balance?.value} ${balance?.currencyCode}`);
    }
    return accounts;
  }

  /** Reads the transactions of all accounts page by page, for a caller that shows pages or stops early. */
  private async list(consent: string): Promise<{ tally: Tally; pages: number }> {
    const tally = new Tally();
    let pages = 0;
    let pageToken = "";
    do {
      const page = await this.banking.listTransactions({ parent: `${consent}/accounts/-`, pageSize, pageToken }, this.options);
      page.transactions.forEach(({ amount }) => tally.add(amount));
      pages++;
      pageToken = page.nextPageToken ?? "";
    } while (pageToken !== "");
    return { tally, pages };
  }

  /**
   * Reads the same transactions in one go, for a caller that wants all of them. A stream that ends without END is not whole, and nor is one
   * whose END counts more than came.
   */
  private async stream(parent: string): Promise<Tally> {
    const tally = new Tally();
    for await (const { kind, transaction, count } of this.banking.streamTransactions({ parent }, this.options)) {
      if (kind === StreamTransactionsResponse_Kind.TRANSACTION) {
        tally.add(transaction?.amount);
      } else if (kind === StreamTransactionsResponse_Kind.END) {
        if (count !== tally.count) {
          throw new Error(`${tally.count} transactions came, of ${count}`);
        }
        return tally;
      } // anything else is a heartbeat, or what a later version sends
    }
    throw new Error("the stream of transactions ended before END");
  }
}

/**
 * Reads why a call failed, one of kontor.error.v1.Error.Reason, from the google.rpc.ErrorInfo of its status. It is empty for an error that is
 * not Kontor's, such as one of the connection.
 */
export function reason(err: unknown): string {
  const infos = err instanceof ConnectError ? err.findDetails(ErrorInfoSchema) : [];
  return infos.find((info) => info.domain === "kontor.dev")?.reason ?? "";
}
