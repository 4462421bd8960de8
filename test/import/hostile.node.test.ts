import { describe, expect, test } from "vitest";
import { importOnnx } from "../../compiler/import/onnx/import.ts";
import { type ByteSource, bytesSource } from "../../compiler/import/source.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import { type ModelFields, modelBytes } from "./onnx-writer.ts";

const small: ModelFields = {
  nodes: [
    { op: "Constant", outputs: ["c"], attributes: { value: { t: { dims: [2, 2], type: 1, floats: [1, 2, 3, 4] } } } },
    { op: "Scale", domain: "local", inputs: ["x", "w"], outputs: ["y"], attributes: { slope: { f: 0.5 } } },
    { op: "Clip", inputs: ["y", "", "top"], outputs: ["z"] },
    { op: "Add", inputs: ["z", "c"], outputs: ["out"], name: "sum" },
  ],
  functions: [
    {
      name: "Scale",
      domain: "local",
      inputs: ["a", "b"],
      outputs: ["r"],
      attributes: ["slope"],
      nodes: [
        { op: "Mul", inputs: ["a", "b"], outputs: ["t"] },
        { op: "LeakyRelu", inputs: ["t"], outputs: ["r"], attributes: { alpha: { reference: "slope" } } },
      ],
    },
  ],
  initializers: [
    { name: "w", dims: [2], type: 1, floats: [1, 2] },
    { name: "top", dims: [], type: 1, raw: new Uint8Array([0, 0, 192, 64]) },
    { name: "large", dims: [16, 32], type: 1, raw: new Uint8Array(2048) },
  ],
  inputs: [{ name: "x", dims: ["N", "height", 2] }],
  outputs: ["out", "large"],
};

/** Reads of more bytes than the file has are recorded: they would be allocations that the file chose. */
function watched(bytes: Uint8Array): { readonly source: ByteSource; largestRead(): number } {
  const inner = bytesSource("model.onnx", bytes);
  let largest = 0;
  const source: ByteSource = {
    ...inner,
    read: (offset, length) => {
      largest = Math.max(largest, length);
      return inner.read(offset, length);
    },
  };
  return { source, largestRead: () => largest };
}

/** "imported", or the code of the error. Anything but a LeafcutterError is thrown on. */
async function outcome(bytes: Uint8Array): Promise<string> {
  const { source, largestRead } = watched(bytes);
  try {
    await importOnnx(source, { dims: { height: 2 } });
    return "imported";
  } catch (error) {
    if (!(error instanceof LeafcutterError) || error.code === "internal") throw error;
    return error.code;
  } finally {
    expect(largestRead()).toBeLessThanOrEqual(bytes.byteLength);
  }
}

const bytes = modelBytes(small);

test("the undamaged model imports", async () => {
  expect(await outcome(bytes)).toBe("imported");
});

test("every truncation is a typed error", async () => {
  for (let length = 0; length < bytes.byteLength; length++) {
    // The functions stand last: without them the model calls an operator that nobody knows.
    expect(["model-invalid", "model-unsupported", "operator-unknown"]).toContain(
      await outcome(bytes.subarray(0, length)),
    );
  }
});

/** xorshift32. */
function* random(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield state >>> 0;
  }
}

describe("bit flips either import or are a typed error", () => {
  /** The long run of zeros in the middle is payload: flips there teach nothing. */
  const payload = bytes.findIndex(
    (_, index) => bytes.subarray(index, index + 2048).every((byte) => byte === 0) && index + 2048 <= bytes.byteLength,
  );
  const places = Array.from(bytes.keys()).filter((index) => index < payload || index >= payload + 2048);

  test("every single bit", async () => {
    const outcomes = new Map<string, number>();
    for (const place of places)
      for (let bit = 0; bit < 8; bit++) {
        const damaged = bytes.slice();
        damaged[place] = (damaged[place] ?? 0) ^ (1 << bit);
        const result = await outcome(damaged);
        outcomes.set(result, (outcomes.get(result) ?? 0) + 1);
      }
    expect([...outcomes.keys()]).toEqual(expect.arrayContaining(["imported", "model-invalid", "operator-unknown"]));
  });

  test("many bits and bytes at once", async () => {
    const numbers = random(20240607);
    const next = (limit: number): number => numbers.next().value % limit;
    for (let round = 0; round < 2000; round++) {
      const damaged = bytes.slice();
      for (let count = 1 + next(6); count > 0; count--)
        damaged[places[next(places.length)] ?? 0] = round % 2 === 0 ? next(256) : 0xff;
      await outcome(damaged);
    }
  });
});

/** A length-delimited field. */
const field = (number: number, content: ArrayLike<number>): number[] => [
  (number << 3) | 2,
  ...varint(content.length),
  ...Array.from(content),
];

function varint(value: number): number[] {
  const result: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...result, rest];
    result.push((rest % 128) | 0x80);
  }
}

describe("files made to hurt", () => {
  const cases: Record<string, readonly number[]> = {
    "a graph of 2^63 bytes": [(7 << 3) | 2, ...Array(9).fill(0xff), 0x7f],
    "a length that does not end": [(7 << 3) | 2, ...Array(40).fill(0x80)],
    "an initialiser of 4 GB": field(7, [(5 << 3) | 2, 0x80, 0x80, 0x80, 0x80, 0x10]),
    "a group (an old wire type)": [(7 << 3) | 3, 1, 2],
    "a field without a number": [2, 0],
    "graphs nested a thousand deep": (() => {
      let graph: number[] = [];
      for (let depth = 0; depth < 1000; depth++)
        graph = field(1, field(5, [...field(1, [0x67]), ...field(6, graph), 0xa0, 0x01, 5]));
      return field(7, graph);
    })(),
  };
  for (const [name, content] of Object.entries(cases))
    test(name, async () => {
      expect(await outcome(Uint8Array.from(content))).toBe("model-invalid");
    });
});
