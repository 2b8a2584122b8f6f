// For the tests: a sandbox of their own.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** What the gateway writes into its ready file, as far as it is needed here. */
export interface Sandbox {
  /** Host and port of gRPC. */
  grpc: string;
  /** URL of REST. */
  http: string;
  /** A client key with all scopes. */
  key: string;
  /** Stops it; fails when it does not end well by itself. */
  stop: () => Promise<void>;
}

/** Runs the binary of KONTOR_GATEWAY as a sandbox on free ports with a data directory of its own. */
export async function startSandbox(): Promise<Sandbox> {
  const gateway = process.env["KONTOR_GATEWAY"];
  if (!gateway) {
    throw new Error("set KONTOR_GATEWAY to the gateway's binary, such as one that scripts/build.sh makes");
  }
  const directory = await mkdtemp(join(tmpdir(), "kontor-"));
  const readyFile = join(directory, "ready.json");
  const listeners = ["--grpc", "--http", "--admin", "--fimento", "--finoos"].flatMap((flag) => [flag, "127.0.0.1:0"]);
  const child = spawn(
    gateway,
    ["sandbox", ...listeners, "--data", join(directory, "data"), "--step", "100ms", "--ready-file", readyFile],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const exited = once(child, "exit");
  const stop = async () => {
    await terminate(child, exited);
    await rm(directory, { recursive: true });
  };
  try {
    return { ...(await contentOf(readyFile, child)), stop };
  } catch (err) {
    await stop().catch(() => undefined);
    throw err;
  }
}

/** Waits up to 30 seconds for the file. It appears complete, since the gateway moves it into place. */
async function contentOf(readyFile: string, child: ChildProcess): Promise<Omit<Sandbox, "stop">> {
  for (const end = Date.now() + 30_000; Date.now() < end; await delay(10)) {
    if (child.exitCode !== null) {
      throw new Error(`the sandbox ended with status ${child.exitCode} before it was ready`);
    }
    try {
      return JSON.parse(await readFile(readyFile, "utf8"));
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code !== "ENOENT") {
        throw err;
      }
    }
  }
  throw new Error("the sandbox was not ready within 30 seconds");
}

async function terminate(child: ChildProcess, exited: Promise<unknown[]>): Promise<void> {
  const kill = setTimeout(() => child.kill("SIGKILL"), 30_000);
  child.kill("SIGTERM");
  const [status, signal] = await exited;
  clearTimeout(kill);
  if (status !== 0) {
    throw new Error(`the sandbox ended with ${status ?? signal}`);
  }
}
