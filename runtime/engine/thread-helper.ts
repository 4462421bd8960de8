/**
 * The entry of a helper thread, in a Web Worker and in a thread of Node's worker_threads: takes its parts once, then
 * walks whenever thread 0 gives an order. It never leaves that loop: whoever started it terminates it.
 */
import {
  control,
  controlWords,
  type HelperAnswer,
  type HelperParts,
  linkThreadWalk,
  stopThreads,
} from "./thread-control.ts";

/** Looks at the counter before it goes to sleep: the next slice of a run comes soon. */
const spins = 20_000;

function serve({ memory, control: address, table, thread, threads, kernels, walk: module }: HelperParts): () => never {
  const instance = new WebAssembly.Instance(kernels, { env: { memory } });
  const walk = linkThreadWalk(module, memory, instance.exports.table as WebAssembly.Table);
  const words = new Int32Array(memory.buffer, address, controlWords);
  const word = (index: number): number => Atomics.load(words, index);
  return () => {
    let seen = 0;
    for (;;) {
      for (let spin = 0; spin < spins && word(control.order) === seen; spin++);
      Atomics.wait(words, control.order, seen);
      seen = word(control.order);
      try {
        const [first, last] = [table + word(control.first), table + word(control.last)];
        walk(first, word(control.begin), last, word(control.end), thread, threads, address, -1n);
      } catch {
        stopThreads(words);
      }
    }
  };
}

function start(parts: HelperParts, answer: (message: HelperAnswer) => void): void {
  let loop: () => never;
  try {
    loop = serve(parts);
  } catch (error) {
    answer({ kind: "failed", reason: error instanceof Error ? error.message : String(error) });
    return;
  }
  answer({ kind: "ready" });
  loop();
}

const threads = typeof process === "undefined" ? undefined : process.getBuiltinModule?.("node:worker_threads");
const port = threads?.parentPort;
if (port) port.once("message", (parts: HelperParts) => start(parts, (message) => port.postMessage(message)));
else {
  addEventListener("message", ({ data }: MessageEvent<HelperParts>) => start(data, (message) => postMessage(message)));
}
