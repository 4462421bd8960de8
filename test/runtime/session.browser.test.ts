/** Sessions in a real module worker of a real browser, from files and from a server, with the browser's own cache. */
import { afterAll, expect, test, vi } from "vitest";
import { commands, server } from "vitest/browser";
import { missingFeature } from "../../runtime/engine/probe.ts";
import { type LoadOptions, load, type Session } from "../../runtime/index.ts";
import { expectedOutput, tinyModule, tinyPackage, tinyProgram, width } from "./tiny-package.ts";

const x = (rows: number): Float32Array => Float32Array.from({ length: rows * width }, (_, index) => (index % 7) - 3);
const slow = { iterations: 1_000_000, rounds: 10_000 };
const written: string[] = [];

/** Writes a package where the development server serves it; returns its address. */
async function serve(files: Readonly<Record<string, Uint8Array>>): Promise<string> {
  const folder = `node_modules/.cache/leafcutter-test/${written.length}`;
  for (const [path, bytes] of Object.entries(files)) {
    const content = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    const file = `${folder}/${path}`;
    written.push(file);
    await commands.writeFile(file, content, { encoding: "base64" });
  }
  return `/${folder}`;
}

afterAll(async () => {
  for (const path of written) await commands.removeFile(path);
  await caches.delete("leafcutter");
});

async function withSession(
  source: string | Readonly<Record<string, Uint8Array>>,
  use: (session: Session) => Promise<void>,
  options: LoadOptions = {},
): Promise<void> {
  const session = await load(source, options);
  try {
    await use(session);
  } finally {
    await session.dispose();
  }
}

async function runs(session: Session): Promise<void> {
  const { y } = await session.run({ x: { data: x(3), shape: [3, width] } });
  expect(y).toEqual({ dtype: "float32", shape: [3, width], data: expectedOutput(x(3)) });
}

test("runs in a worker, on the relaxed variant, where both are there", async () => {
  const files = await tinyPackage({
    modules: { "wasm-simd": tinyModule(), "wasm-relaxed": tinyModule() },
    probe: true,
  });
  await withSession(files, async (session) => {
    await runs(session);
    const why = missingFeature("wasm-relaxed");
    const chosen =
      why === undefined
        ? { variant: "wasm-relaxed", rejected: [] }
        : { variant: "wasm-simd", rejected: [{ variant: "wasm-relaxed", why }] };
    expect(await session.stats()).toMatchObject({ ...chosen, runs: 1, notes: [] });
    // WebKit does not have it on by default.
    if (server.browser !== "webkit") expect(why).toBeUndefined();
  });
});

test("the second load from a server comes from Cache Storage", async () => {
  await caches.delete("leafcutter");
  // A driven WebKit browses privately: there a cache lasts as long as somebody has it open.
  await caches.open("leafcutter");
  const address = await serve(await tinyPackage());
  for (const cache of ["miss", "hit"]) {
    await withSession(address, async (session) => {
      await runs(session);
      expect((await session.stats()).cache).toBe(cache);
    });
  }
});

test("a flipped byte in a served shard is found, and a missing program is named", async () => {
  await caches.delete("leafcutter");
  const files = await tinyPackage();
  const shard = (files["shard-0.bin"] ?? new Uint8Array()).map((byte, index) => (index === 5 ? byte ^ 1 : byte));
  await expect(load(await serve({ ...files, "shard-0.bin": shard }))).rejects.toMatchObject({
    name: "LeafcutterError",
    diagnostic: { code: "integrity-mismatch", where: "shard-0.bin" },
  });
  const { "program.json": _, ...incomplete } = files;
  await expect(load(await serve(incomplete), { cache: false })).rejects.toMatchObject({
    diagnostic: { code: "file-missing", where: "program.json" },
  });
});

test("an abort gets into the worker while a step runs, and the session goes on", async () => {
  await withSession(await tinyPackage({ slow }), async (session) => {
    const abort = new AbortController();
    const run = session.run({ x: { data: x(1) } }, { signal: abort.signal });
    setTimeout(() => abort.abort(), 10);
    await expect(run).rejects.toMatchObject({ code: "aborted" });
    await expect(session.run({ X: { data: x(1) } })).rejects.toMatchObject({ code: "input-unknown" });
    expect((await session.stats()).runs).toBe(0);
  });
});

test("an abort during load ends it", async () => {
  const abort = new AbortController();
  const onProgress = () => abort.abort();
  await expect(load(await tinyPackage(), { signal: abort.signal, onProgress })).rejects.toMatchObject({
    code: "aborted",
  });
});

test("arrays stay the caller's unless they are handed over", async () => {
  await withSession(await tinyPackage(), async (session) => {
    const data = x(1);
    await session.run({ x: { data } });
    expect(data).toEqual(x(1));
    await session.run({ x: { data } }, { transfer: true });
    expect(data.length).toBe(0);
  });
});

test("the same package runs in the page, synchronously", async () => {
  const session = await load(await tinyPackage(), { worker: false });
  expect(session.runSync({ x: { data: x(2) } }).y?.data).toEqual(expectedOutput(x(2)));
  await session.dispose();
  expect(() => session.runSync({ x: { data: x(2) } })).toThrow(/disposed/);
});

test("a worker script that is not there is a typed error", async () => {
  const workerUrl = "/no-such-worker.js";
  await expect(load(await tinyPackage(), { workerUrl })).rejects.toMatchObject({ code: "worker-failed" });
});

test("a worker that ends without a word rejects what is pending and all that follows", async () => {
  const workerUrl = new URL("./dying.browser-worker.ts", import.meta.url);
  const session = await load(await tinyPackage({ slow }), { workerUrl });
  const running = session.run({ x: { data: x(1) } });
  const rejected = expect(running).rejects.toMatchObject({ code: "worker-failed" });
  const order = new BroadcastChannel("leafcutter-test");
  const repeated = setInterval(() => order.postMessage("die"), 100);
  await rejected;
  clearInterval(repeated);
  order.close();
  await expect(session.stats()).rejects.toMatchObject({ code: "worker-failed" });
  await session.dispose();
});

/** Takes memories until there are no more; reserved, never touched. Answers how many. */
const takeAllMemory = `
const taken = [];
try {
  while (taken.length < 100_000) taken.push(new WebAssembly.Memory({ initial: 65536, maximum: 65536 }));
} catch {}
postMessage(taken.length);
onmessage = () => postMessage(taken.length);`;

test("memory that the browser does not give is a typed error, in a worker and in the page", async () => {
  const pages = 65536;
  const program = tinyProgram();
  const files = await tinyPackage({ program: { ...program, memory: { ...program.memory, pages } } });
  const script = URL.createObjectURL(new Blob([takeAllMemory], { type: "text/javascript" }));
  const taker = new Worker(script);
  try {
    const taken = await new Promise<number>((resolve, reject) => {
      taker.onmessage = ({ data }: MessageEvent<number>) => resolve(data);
      taker.onerror = ({ message }) => reject(new Error(message));
    });
    expect(taken).toBeLessThan(100_000);
    // What earlier tests left behind is collected, and taken too.
    const rest: WebAssembly.Memory[] = [];
    expect(() => {
      for (;;) rest.push(new WebAssembly.Memory({ initial: pages, maximum: pages }));
    }).toThrow();
    for (const worker of [false, true]) {
      await expect(load(files, { worker, cache: false })).rejects.toMatchObject({ code: "memory-exceeded" });
    }
    rest.length = 0;
  } finally {
    taker.terminate();
    URL.revokeObjectURL(script);
  }
  await vi.waitFor(() => new WebAssembly.Memory({ initial: 1, maximum: pages }), { timeout: 60_000 });
}, 120_000);

test("dispose rejects what is pending", async () => {
  const session = await load(await tinyPackage({ slow }));
  const rejected = expect(session.run({ x: { data: x(1) } })).rejects.toMatchObject({ code: "disposed" });
  await session.dispose();
  await rejected;
  await expect(session.stats()).rejects.toMatchObject({ code: "disposed" });
});
