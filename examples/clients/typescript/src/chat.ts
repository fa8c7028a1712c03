/*
 * A small client of fleetchatd, with nothing but Node.
 *
 *   chat.js send KEY TEXT    sends TEXT, once however often it is run with KEY, and waits for the end
 *   chat.js follow NAME      prints what people say, and acknowledges it when it is printed
 */
import { request, type IncomingMessage } from "node:http";
import { json } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

/** What the API answers (`GET /v1/openapi.json` has all of it). */
type State = "queued" | "sending" | "delivered" | "failed" | "unknown";
type Message = { state: State; error: string | null };
type Problem = { kind: string; detail: string };
type MessageEvent = { type: "message"; seq: number; sender: string; text: string };
type Line = MessageEvent | { type: "superseded" };

/** Asking again would change nothing. */
class Refused extends Error {}

const SOCKET =
  process.env.FLEETCHATD_SOCKET ??
  `${process.env.XDG_RUNTIME_DIR ?? "/run"}/fleetchatd/fleetchatd.sock`;
/** Another reader has the name; the daemon is stopping; its disk is full. */
const LATER = [409, 503, 507];
const LONGEST_PAUSE_MS = 10_000;

const stopping = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => stopping.abort());

type Options = { body?: object; headers?: Record<string, string>; signal?: AbortSignal };

/** Makes a request that must succeed; gives the answer, still to be read. */
async function ask(method: "GET" | "POST", path: string, { body, ...rest }: Options = {}) {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = request({ socketPath: SOCKET, path, method, ...rest }, resolve);
    asked.on("error", reject).end(body && JSON.stringify(body));
  });
  if ((answer.statusCode ?? 500) < 400) return answer;
  const { kind, detail } = (await json(answer)) as Problem;
  throw new (LATER.includes(answer.statusCode ?? 500) ? Error : Refused)(`${kind}: ${detail}`);
}

/** The objects of a stream, one a line; empty lines mean nothing. */
async function* lines(stream: IncomingMessage): AsyncGenerator<Line> {
  let rest = "";
  for await (const chunk of stream.setEncoding("utf8")) {
    const whole = (rest + chunk).split("\n");
    rest = whole.pop() ?? "";
    for (const line of whole) if (line !== "") yield JSON.parse(line) as Line;
  }
}

/** Growing pauses, jittered, so that many clients do not come back at once. */
class Pauses {
  #next = 200;

  async wait(why: unknown): Promise<void> {
    console.error(`${why instanceof Error ? why.message : why}; trying again`);
    await sleep(this.#next * (0.5 + Math.random() / 2), undefined, { signal: stopping.signal });
    this.#next = Math.min(this.#next * 2, LONGEST_PAUSE_MS);
  }
}

/** Sends a message and waits for its end; the key makes every repetition the same message. */
async function send(key: string, text: string): Promise<void> {
  const pauses = new Pauses();
  const post = { body: { text }, headers: { "Idempotency-Key": key }, signal: stopping.signal };
  for (;;) {
    try {
      const message = (await json(await ask("POST", "/v1/messages?wait_s=30", post))) as Message;
      if (message.state === "delivered") return;
      if (message.state === "failed" || message.state === "unknown")
        throw new Refused(`${message.state}: ${message.error}`);
    } catch (error) {
      if (error instanceof Refused || stopping.signal.aborted) throw error;
      await pauses.wait(error);
    }
  }
}

/** Handles every message, over all restarts of either side, until another reader takes over. */
async function follow(name: string): Promise<void> {
  let done = 0;
  let pauses = new Pauses();
  for (;;) {
    try {
      const path = `/v1/events?subscriber=${name}&types=message`;
      for await (const line of lines(await ask("GET", path, { signal: stopping.signal }))) {
        if (line.type === "superseded") return;
        // One comes again if its acknowledgement got lost.
        if (line.seq > done) await handle(line);
        done = Math.max(done, line.seq);
        (await ask("POST", `/v1/subscribers/${name}/ack`, { body: { seq: line.seq } })).resume();
        pauses = new Pauses();
      }
      await pauses.wait("the stream ended");
    } catch (error) {
      if (error instanceof Refused || stopping.signal.aborted) throw error;
      await pauses.wait(error);
    }
  }
}

/** Does what is to be done. Killed in here, one gets the same event again. */
async function handle(event: MessageEvent): Promise<void> {
  await new Promise((written) => process.stdout.write(`${JSON.stringify(event)}\n`, written));
}

const [command, ...words] = process.argv.slice(2);
try {
  if (command === "send" && words.length === 2) await send(words[0]!, words[1]!);
  else if (command === "follow" && words.length === 1) await follow(words[0]!);
  else throw new Refused("use: chat.js send KEY TEXT, or: chat.js follow NAME");
} catch (error) {
  if (!stopping.signal.aborted) {
    console.error(`cannot ${command}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
