import assert from "node:assert/strict";
import { test } from "node:test";

import { addDecimals, Tally } from "./tally.js";

test("decimals are added exactly", () => {
  for (const [a, b, sum] of [
    ["0", "0", "0"],
    ["0.1", "0.2", "0.3"],
    ["0", "-24.99", "-24.99"],
    ["-24.99", "25", "0.01"],
    ["1.005", "-1.01", "-0.005"],
    ["-0.00", "0", "0.00"],
    ["12345678901234567890123456789012", "0.000000000000000001", "12345678901234567890123456789012.000000000000000001"],
  ] as const) {
    assert.equal(addDecimals(a, b), sum);
    assert.equal(addDecimals(b, a), sum);
  }
});

test("what is no decimal is refused", () => {
  for (const text of ["", "-", "1,5", "1.", ".5", "1e3", "0x10", " 1", "1.2.3", "+1", "١"]) {
    assert.throws(() => addDecimals("1", text), /not a decimal number/, JSON.stringify(text));
  }
});

test("each currency is added up by itself", () => {
  const tally = new Tally();
  tally.add({ value: "0.1", currencyCode: "SEK" });
  tally.add({ value: "0.2", currencyCode: "SEK" });
  tally.add({ value: "-24.99", currencyCode: "EUR" });
  assert.equal(`${tally}`, "3, adding up to -24.99 EUR and 0.3 SEK");
  assert.throws(() => tally.add(undefined), /without an amount/);
});
