// Adds amounts up exactly. Numbers of JavaScript would not do: 0.1 and 0.2 make 0.3.

import type { Money } from "../../../gen/ts/kontor/type/v1/money_pb.js";

/** Counts amounts and adds them up, each currency by itself. */
export class Tally {
  count = 0;
  private readonly totals = new Map<string, string>();

  add(amount: Pick<Money, "value" | "currencyCode"> | undefined): void {
    if (amount === undefined) {
      throw new Error("a transaction without an amount");
    }
    this.totals.set(amount.currencyCode, addDecimals(this.totals.get(amount.currencyCode) ?? "0", amount.value));
    this.count++;
  }

  /** Such as "3, adding up to -24.99 EUR". */
  toString(): string {
    const totals = [...this.totals].sort().map(([currency, total]) => `${total} ${currency}`);
    return `${this.count}, adding up to ${totals.join(" and ")}`;
  }
}

/** Adds two decimal numbers in plain notation. The sum has as many decimals as the longer of the two. */
export function addDecimals(a: string, b: string): string {
  const decimals = Math.max(decimalsOf(a), decimalsOf(b));
  const sum = unitsOf(a, decimals) + unitsOf(b, decimals);
  const digits = `${sum < 0n ? -sum : sum}`.padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals);
  return `${sum < 0n ? "-" : ""}${whole}${fraction && "."}${fraction}`;
}

/** How many digits follow the point. */
function decimalsOf(decimal: string): number {
  return decimal.split(".")[1]?.length ?? 0;
}

/** The number in units of its last decimal: -24.9 with two decimals is -2490. */
function unitsOf(decimal: string, decimals: number): bigint {
  if (!/^-?[0-9]+([.][0-9]+)?$/.test(decimal)) {
    throw new Error("not a decimal number in plain notation");
  }
  return BigInt(decimal.replace(".", "") + "0".repeat(decimals - decimalsOf(decimal)));
}
