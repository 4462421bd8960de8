/** What the other browser tests stand on: an isolated page, module workers, shared memory, and WebGPU in a worker. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { server } from "vitest/browser";
import type { Environment } from "./environment.browser-worker.ts";

let worker: Worker;
let environment: Environment;

beforeAll(async () => {
  worker = new Worker(new URL("./environment.browser-worker.ts", import.meta.url), { type: "module" });
  environment = await new Promise<Environment>((resolve, reject) => {
    worker.onmessage = (event: MessageEvent<Environment>) => resolve(event.data);
    worker.onerror = (event) => reject(new Error(event.message));
  });
});

afterAll(() => worker.terminate());

test("page and module worker are cross-origin isolated", () => {
  expect(crossOriginIsolated).toBe(true);
  expect(environment.isolated).toBe(true);
});

test("an isolated page may share memory with its workers", (context) => {
  if (server.browser === "webkit" && environment.shared === undefined)
    return context.skip("this WebKit has no SharedArrayBuffer, though the page is isolated");
  expect(environment.shared).toBeInstanceOf(SharedArrayBuffer);
});

test("a shader that runs in the worker gives the right numbers", (context) => {
  const { webgpu } = environment;
  switch (webgpu.kind) {
    case "absent":
      return context.skip(`no WebGPU in this browser's workers: ${webgpu.reason}`);
    case "computed":
      expect([...webgpu.doubled]).toEqual([0, 2, 4, 6]);
      return;
  }
});
