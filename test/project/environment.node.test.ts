/** What the other Node tests stand on: worker_threads that load the TypeScript sources and share memory. */
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";

test("a worker thread loads a TypeScript module and shares memory with the test", async () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const worker = new Worker(new URL("./shared-memory.node-worker.ts", import.meta.url), { workerData: memory });
  try {
    const answer = await new Promise<unknown>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    expect(answer).toBe("float32");
    expect([...new Int32Array(memory.buffer, 0, 3)]).toEqual([0, 1, 4]);
  } finally {
    await worker.terminate();
  }
});
