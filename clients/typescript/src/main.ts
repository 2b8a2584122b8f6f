// Connects to Kontor and tells the story; story.ts holds what there is to learn.

import { connect, tell } from "./story.js";

const key = process.env["KONTOR_KEY"];
if (!key) {
  console.error("set KONTOR_KEY to the key that the sandbox prints");
  process.exit(1);
}
const connection = connect(process.env["KONTOR_ADDRESS"] ?? "127.0.0.1:9090", key);
try {
  // Two minutes bound the whole story, which takes about ten seconds.
  await tell(connection.transport, AbortSignal.timeout(120_000), (line) => console.log(line));
} catch (err) {
  console.error(`${err}`);
  process.exitCode = 1;
} finally {
  connection.close();
}
