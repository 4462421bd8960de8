/** Sessions on several threads in a browser's workers: the same bits as on one, and what is left when they are disposed. */
import { expect, test } from "vitest";
import { server } from "vitest/browser";
import { generateThreadWalk } from "../../compiler/codegen/wasm/thread-walk.ts";
import { type LoadOptions, load, type Tensor } from "../../runtime/index.ts";
import { expectedOutput, type TinyOptions, tinyPackage, width } from "./tiny-package.ts";

const x = (rows: number): Float32Array =>
  Float32Array.from({ length: rows * width }, (_, index) => Math.sin(3 * index) / 3);
const slow = { iterations: 1_000_000, rounds: 10_000 };
const threaded = (tiny: TinyOptions = {}): ReturnType<typeof tinyPackage> =>
  tinyPackage({ divided: true, threads: generateThreadWalk(), ...tiny });

/** What every extent gives, and how many threads gave it. */
async function run(options: LoadOptions): Promise<{ readonly outputs: readonly Tensor[]; readonly threads: number }> {
  const session = await load(await threaded({ probe: true }), options);
  const outputs: Tensor[] = [];
  for (const rows of [4, 1, 3, 2, 4]) {
    const { y } = await session.run({ x: { data: x(rows), shape: [rows, width] } });
    expect(y?.data).toEqual(expectedOutput(x(rows)));
    if (y !== undefined) outputs.push(y);
  }
  const { threads, notes } = await session.stats();
  expect(notes).toEqual([]);
  await session.dispose();
  await expect(session.run({ x: { data: x(1) } })).rejects.toMatchObject({ diagnostic: { code: "disposed" } });
  return { outputs, threads };
}

/** WebKitGTK has no SharedArrayBuffer. */
test.skipIf(server.browser === "webkit")(
  "two and three threads give the bits that one gives",
  { timeout: 120_000 },
  async () => {
    const [one, two, three] = [await run({ threads: 1 }), await run({ threads: 2 }), await run({ threads: 3 })];
    expect([one.threads, two.threads, three.threads]).toEqual([1, 2, 3]);
    expect(two.outputs).toEqual(one.outputs);
    expect(three.outputs).toEqual(one.outputs);
  },
);

test.skipIf(server.browser === "webkit")("a run on two threads is aborted, and both threads stay", async () => {
  const session = await load(await threaded({ slow }), { threads: 2 });
  const abort = new AbortController();
  const running = session.run({ x: { data: x(4) } }, { signal: abort.signal });
  setTimeout(() => abort.abort(), 30);
  await expect(running).rejects.toMatchObject({ diagnostic: { code: "aborted" } });
  expect((await session.stats()).threads).toBe(2);
  await session.dispose();
});

test("the page's own thread, which must not wait, runs alone and says so", async () => {
  const session = await load(await threaded(), { worker: false, threads: 2 });
  const { y } = session.runSync({ x: { data: x(2), shape: [2, width] } });
  expect(y?.data).toEqual(expectedOutput(x(2)));
  const { threads, rejected } = await session.stats();
  expect(threads).toBe(1);
  const why = server.browser === "webkit" ? /cannot share memory/ : /must not wait/;
  expect(rejected).toContainEqual({ variant: "wasm-simd-threads", why: expect.stringMatching(why) });
  await session.dispose();
});
