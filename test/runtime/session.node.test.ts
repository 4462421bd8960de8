/** Sessions in Node, in a worker thread and in this thread: loading, running, aborting, and every way to fail. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { deflateSync } from "fflate";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LoadOptions, load, type Progress, type Session } from "../../runtime/index.ts";
import { expectedOutput, tinyModule, tinyPackage, tinyProgram, width } from "./tiny-package.ts";

type Files = Record<string, Uint8Array>;

const x = (rows: number): Float32Array => Float32Array.from({ length: rows * width }, (_, index) => (index % 7) - 3);
const slow = { iterations: 1_000_000, rounds: 10_000 };

let server: Server;
let address: string;
const served = new Map<string, Files>();

beforeAll(async () => {
  server = createServer((request, response) => {
    const [, folder = "", file = ""] = (request.url ?? "").split("/");
    const content = served.get(folder)?.[file];
    response.writeHead(content === undefined ? 404 : 200).end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => void server.close());

function serve(files: Files): string {
  const folder = `package-${served.size}`;
  served.set(folder, files);
  return `${address}/${folder}`;
}

function flipByte(files: Files, path: string): Files {
  const changed = (files[path] ?? new Uint8Array()).slice();
  changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 1;
  return { ...files, [path]: changed };
}

function without(files: Files, path: string): Files {
  return Object.fromEntries(Object.entries(files).filter(([name]) => name !== path));
}

describe.each([true, false])("with worker: %s", (worker) => {
  async function withSession(
    source: string | URL | Files,
    use: (session: Session) => Promise<void>,
    options: LoadOptions = {},
  ): Promise<void> {
    const session = await load(source, { backend: "wasm-simd", worker, ...options });
    try {
      await use(session);
    } finally {
      await session.dispose();
    }
  }

  const runs = async (session: Session, rows = 2): Promise<void> => {
    const { y } = await session.run({ x: { data: x(rows), shape: [rows, width] } });
    expect(y).toEqual({ dtype: "float32", shape: [rows, width], data: expectedOutput(x(rows)) });
  };

  test("loads from files, a URL, a path and a file: URL, and runs", async () => {
    const files = await tinyPackage();
    const folder = mkdtempSync(join(tmpdir(), "leafcutter-package-"));
    for (const [path, bytes] of Object.entries(files)) writeFileSync(join(folder, path), bytes);
    try {
      const blobs = { ...files, "shard-0.bin": new Blob([(files["shard-0.bin"] ?? new Uint8Array()).slice()]) };
      await withSession(blobs as unknown as Files, runs);
      for (const source of [serve(files), `${serve(files)}/manifest.json`, folder, pathToFileURL(`${folder}/`)]) {
        await withSession(source, runs);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("says what it is and what it has done", async () => {
    await withSession(await tinyPackage({ modules: { "wasm-simd": tinyModule() } }), async (session) => {
      expect(session.inputs).toEqual([{ name: "x", dtype: "float32", shape: ["batch", width] }]);
      await session.stats({ profile: true });
      await runs(session);
      const stats = await session.stats();
      expect(stats).toMatchObject({
        variant: "wasm-simd",
        memoryBytes: 65536,
        weightBytes: 4 * width,
        selfTest: "absent",
        runs: 1,
        cache: "unavailable: the package was given as files",
      });
      expect(stats.steps?.map(({ name }) => name)).toEqual(["add", "relu"]);
    });
  });

  test("an operator without a kernel runs as a host step", async () => {
    await withSession(await tinyPackage({ reference: "Neg" }), async (session) => {
      await session.stats({ profile: true });
      const { y, z } = await session.run({ x: { data: x(2) } });
      expect(y?.data).toEqual(expectedOutput(x(2)));
      expect(z?.data).toEqual(expectedOutput(x(2)).map((value) => -value));
      const { steps } = await session.stats();
      expect(steps?.map(({ where }) => where)).toEqual(["wasm", "wasm", "host"]);
    });
  });

  test("reports progress up to the last byte, ready before any weight", async () => {
    const events: Progress[] = [];
    const files = await tinyPackage();
    await withSession(serve(files), runs, { onProgress: (progress) => events.push(progress) });
    const total = Object.values(files).reduce((sum, bytes) => sum + bytes.byteLength, 0);
    expect([...new Set(events.map(({ phase }) => phase))]).toEqual(["manifest", "engine", "ready", "weights", "done"]);
    expect(events.at(-1)).toEqual({ phase: "done", loadedBytes: total, totalBytes: total });
    const ready = events.find(({ phase }) => phase === "ready")?.loadedBytes;
    expect(ready).toBe(total - 4 * width);
  });

  test.each(["shard-1.bin", "program.json", "wasm-simd.wasm"])("a flipped byte in %s is found", async (path) => {
    const source = serve(flipByte(await tinyPackage(), path));
    await expect(load(source, { worker, backend: "wasm-simd" })).rejects.toMatchObject({
      name: "LeafcutterError",
      diagnostic: { code: "integrity-mismatch", where: path },
    });
  });

  test.each(["shard-1.bin", "program.json", "wasm-simd.wasm", "manifest.json"])(
    "a missing %s is named",
    async (path) => {
      for (const source of [serve(without(await tinyPackage(), path)), without(await tinyPackage(), path)]) {
        await expect(load(source, { worker, backend: "wasm-simd" })).rejects.toMatchObject({
          diagnostic: { code: "file-missing", where: path },
        });
      }
    },
  );

  test("a file that is longer or shorter than the manifest says is refused", async () => {
    const files = await tinyPackage();
    const shard = files["shard-0.bin"] ?? new Uint8Array();
    for (const bytes of [shard.slice(1), Uint8Array.from([...shard, 0])]) {
      await expect(load({ ...files, "shard-0.bin": bytes }, { worker })).rejects.toMatchObject({
        diagnostic: { code: "integrity-mismatch", where: "shard-0.bin" },
      });
    }
  });

  test("a program and a module that are DEFLATE streams are inflated", async () => {
    await withSession(serve(await tinyPackage({ deflate: deflateSync })), runs);
  });

  test.each<[string, (content: Uint8Array) => Uint8Array, RegExp]>([
    ["is no DEFLATE stream", (content) => content, /./],
    ["breaks off", (content) => deflateSync(content).slice(0, -8), /./],
    ["holds more than the manifest says", (content) => deflateSync(Uint8Array.from([...content, 32])), /^more$/],
    ["holds less than the manifest says", (content) => deflateSync(content.slice(1)), /^\d+ bytes$/],
  ])("a file that %s is refused", async (_, deflated, received) => {
    await expect(load(await tinyPackage({ deflate: deflated }), { worker })).rejects.toMatchObject({
      diagnostic: {
        code: "package-invalid",
        where: expect.stringMatching(/^(program.json|wasm-simd.wasm)$/),
        received: expect.stringMatching(received),
      },
    });
  });

  test("integrity pins the manifest", async () => {
    const files = await tinyPackage();
    const hash = (bytes: Uint8Array = new Uint8Array()) =>
      `sha256-${createHash("sha256").update(bytes).digest("base64")}`;
    await withSession(files, runs, { integrity: hash(files["manifest.json"]) });
    const wrong = load(files, { worker, integrity: hash() });
    await expect(wrong).rejects.toMatchObject({ diagnostic: { code: "integrity-mismatch", where: "manifest.json" } });
    await expect(load(files, { worker, integrity: "md5-x" })).rejects.toMatchObject({ code: "option-invalid" });
  });

  test("a program with an extent outside memory and a module with a foreign import are refused", async () => {
    const program = tinyProgram();
    const outside = { ...program, inputs: program.inputs.map((port) => ({ ...port, address: 65532 })) };
    await expect(load(await tinyPackage({ program: outside }), { worker })).rejects.toMatchObject({
      diagnostic: { code: "program-invalid", where: "inputs[0]" },
    });
    const foreign = await tinyPackage({ modules: { "wasm-simd": tinyModule({ foreign: true }) } });
    await expect(load(foreign, { worker })).rejects.toMatchObject({
      diagnostic: { code: "package-invalid", where: "wasm-simd.wasm", received: "function env.exfiltrate" },
    });
  });

  test("what is not a package is refused", async () => {
    const text = new TextEncoder().encode("<!doctype html>");
    await expect(load({ "manifest.json": text }, { worker })).rejects.toMatchObject({ code: "package-invalid" });
    await expect(load("http://127.0.0.1:1/", { worker })).rejects.toMatchObject({ code: "network" });
    await expect(load("ftp:nowhere else", { worker })).rejects.toMatchObject({ code: "option-invalid" });
  });

  test("maxMemory is checked before anything is allocated", async () => {
    const files = await tinyPackage();
    await expect(load(files, { worker, maxMemory: 65535 })).rejects.toMatchObject({ code: "memory-exceeded" });
    await withSession(files, runs, { maxMemory: 65536 });
  });

  test("a wrong name, type or shape is refused and the session stays usable", async () => {
    await withSession(await tinyPackage(), async (session) => {
      const data = x(1);
      await expect(session.run({ X: { data } })).rejects.toMatchObject({ code: "input-unknown" });
      await expect(session.run({})).rejects.toMatchObject({ code: "input-missing" });
      await expect(session.run({ x: { data: [1, 2] as never } })).rejects.toMatchObject({ code: "input-dtype" });
      await expect(session.run({ x: undefined as never })).rejects.toMatchObject({ code: "input-missing" });
      await expect(session.run({ x: { data, shape: [3, width] } })).rejects.toMatchObject({ code: "input-shape" });
      await runs(session);
    });
  });

  test("runs queue in order, and each sees the input as it was when it was called", async () => {
    await withSession(await tinyPackage({ slow: { iterations: 8, rounds: 1000 } }), async (session) => {
      const data = x(1);
      const order: number[] = [];
      const results = [0, 1, 2].map((value) => {
        data.fill(value);
        const result = session.run({ x: { data } });
        void result.then(() => order.push(value));
        return result;
      });
      const outputs = await Promise.all(results);
      expect(outputs.map(({ y }) => y?.data)).toEqual(
        [0, 1, 2].map((value) => expectedOutput(new Float32Array(width).fill(value))),
      );
      expect(order).toEqual([0, 1, 2]);
    });
  });

  test("the caller's arrays stay usable unless they are handed over; views of a part are not taken apart", async () => {
    await withSession(await tinyPackage(), async (session) => {
      const whole = x(4);
      await session.run({ x: { data: whole } });
      expect(whole).toEqual(x(4));
      const part = whole.subarray(0, width);
      const { y } = await session.run({ x: { data: part } }, { transfer: true });
      expect(y?.data).toEqual(expectedOutput(x(1)));
      expect(whole).toEqual(x(4));
      await session.run({ x: { data: whole } }, { transfer: true });
      expect(whole.length).toBe(worker ? 0 : 4 * width);
    });
  });

  test("an abort ends the run that is under way and the ones that wait, and the next call works", async () => {
    await withSession(await tinyPackage({ slow }), async (session) => {
      const abort = new AbortController();
      const waiting = new AbortController();
      const first = session.run({ x: { data: x(1) } }, { signal: abort.signal });
      const second = session.run({ x: { data: x(1) } }, { signal: waiting.signal });
      setTimeout(() => waiting.abort(), 5);
      await expect(second).rejects.toMatchObject({ code: "aborted" });
      abort.abort();
      await expect(first).rejects.toMatchObject({ code: "aborted" });
      await expect(session.run({ x: { data: x(1) } }, { signal: abort.signal })).rejects.toMatchObject({
        code: "aborted",
      });
      await expect(session.run({ X: { data: x(1) } })).rejects.toMatchObject({ code: "input-unknown" });
      expect((await session.stats()).runs).toBe(0);
    });
  });

  test("an abort during load ends it", async () => {
    const abort = new AbortController();
    const source = serve(await tinyPackage());
    const loading = load(source, {
      worker,
      signal: abort.signal,
      onProgress: ({ phase }) => {
        if (phase === "engine") abort.abort();
      },
    });
    await expect(loading).rejects.toMatchObject({ code: "aborted" });
    await expect(load(source, { worker, signal: abort.signal })).rejects.toMatchObject({ code: "aborted" });
  });

  test("dispose ends what is pending and all that follows", async () => {
    const session = await load(await tinyPackage({ slow }), { worker });
    const pending = session.run({ x: { data: x(1) } });
    const rejected = expect(pending).rejects.toMatchObject({ code: "disposed" });
    await session.dispose();
    await rejected;
    await expect(session.run({ x: { data: x(1) } })).rejects.toMatchObject({ code: "disposed" });
    await expect(session.stats()).rejects.toMatchObject({ code: "disposed" });
    await session.dispose();
  });

  test("a whole-model self-test passes when idle, and a failure says so", async () => {
    const test = (value: number) => ({
      seed: 1,
      bindings: { batch: 2 },
      outputs: [{ name: "y", indices: [0], values: [value] }],
      absolute: 1e-6,
      relative: 1e-6,
    });
    const until = async (session: Session, state: string): Promise<string> => {
      for (;;) {
        const { selfTest, notes } = await session.stats();
        if (selfTest.startsWith(state)) return notes.join();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const passing = { ...test(0), outputs: [{ name: "y", indices: [0, 1], values: [0, 0] }] };
    await withSession(await tinyPackage({ selfTest: passing }), async (session) => {
      expect((await session.stats()).selfTest).toBe("pending");
      await runs(session);
      await until(session, "passed");
    });
    await withSession(await tinyPackage({ selfTest: test(5) }), async (session) => {
      await runs(session);
      expect(await until(session, "failed")).toMatch(/self-test/);
      await runs(session);
    });
  });

  test("a kernel with a wrong answer falls back to the next variant, or ends the load", async () => {
    const broken = tinyModule({ faultyAdd: true });
    await expect(
      load(await tinyPackage({ probe: true, modules: { "wasm-simd": broken } }), { worker }),
    ).rejects.toMatchObject({ code: "self-test-failed" });
  });
});

test("a worker that dies rejects what is pending and all that follows", async () => {
  const workerUrl = new URL("./dying.node-worker.ts", import.meta.url);
  const session = await load(await tinyPackage(), { workerUrl });
  const pending = [session.stats(), session.run({ x: { data: x(1) } })];
  for (const call of pending) await expect(call).rejects.toMatchObject({ code: "worker-failed" });
  await expect(session.stats()).rejects.toMatchObject({ code: "worker-failed" });
  await session.dispose();
});

test("a worker that does not come up is a typed error", async () => {
  const workerUrl = new URL("./no-such-worker.js", import.meta.url);
  await expect(load(await tinyPackage(), { workerUrl })).rejects.toMatchObject({ code: "worker-failed" });
});
