/**
 * A few rows by one panel of int8 weights that is read once, as it is stored. Words of int16 are four k of a row twice, by
 * four k of two columns: a dot sums two k of a column in each lane, and neighbouring lanes are summed at the end. A
 * relaxed dot sums all four k of four columns.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { i8x16, i32x4, v128 } from "../../assemble/vector.ts";

type Address = Local<"i32">;
type Sums = readonly (readonly Local<"v128">[])[];

/** Columns of a panel. */
const width = 8;
/** Quads of k per round of the loop. */
const unroll = 4;
/** int16 sums of so many rows and all columns stay in registers. */
const rowsAtOnce = 3;

const even = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
const odd = even.map((byte) => byte + 4);

const zeros = (body: BodyBuilder, rows: number, vectors: number): Sums =>
  Array.from({ length: rows }, () =>
    Array.from({ length: vectors }, () => body.local("v128", i32x4.const(0, 0, 0, 0))),
  );

/** `step(k)` for each of `quads`, a few at a time; then `advance(count)`. */
function overQuads(
  body: BodyBuilder,
  quads: Address,
  step: (k: number) => void,
  advance: (count: number) => void,
): void {
  body.scope(() => {
    const steps = (count: number): void => {
      for (let k = 0; k < count; k++) body.scope(() => step(k));
      advance(count);
    };
    const left = body.local("i32", i32.sub(quads, unroll));
    body.if(i32.geS(left, 0), () => {
      body.loop((again) => {
        steps(unroll);
        body.branchIf(again, i32.geS(body.tee(left, i32.sub(left, unroll)), 0));
      });
    });
    body.if(i32.gtS(body.tee(left, i32.add(left, unroll)), 0), () => {
      body.loop((again) => {
        steps(1);
        body.branchIf(again, body.tee(left, i32.sub(left, 1)));
      });
    });
  });
}

/** Rows of int16, `quads` times four each, by the panel; the sums go to `target`, [rows][8]. */
export function emitPairVector(
  body: BodyBuilder,
  panel: Address,
  rows: readonly Address[],
  quads: Address,
  target: Address,
): void {
  const columnsAtOnce = rows.length > rowsAtOnce ? width / 2 : width;
  for (let first = 0; first < width; first += columnsAtOnce)
    body.scope(() => {
      const sums = zeros(body, rows.length, columnsAtOnce / 2);
      const weights = body.local("i32", i32.add(panel, width * 4 + first * 4));
      const sources = rows.map((row) => body.local("i32", row));
      const step = (k: number): void => {
        const values = sources.map((source) => body.local("v128", v128.load64Splat(source, { offset: k * 8 })));
        for (let j = 0; j < columnsAtOnce / 2; j++)
          body.scope(() => {
            const pair = body.local("v128", v128.load8x8S(weights, { offset: k * width * 4 + j * 8 }));
            sums.forEach((row, i) => {
              const [sum, x] = [row[j], values[i]];
              if (sum && x) body.set(sum, i32x4.add(sum, i32x4.dotI16x8S(x, pair)));
            });
          });
      };
      overQuads(body, quads, step, (count) => {
        body.set(weights, i32.add(weights, count * width * 4));
        for (const source of sources) body.set(source, i32.add(source, count * 8));
      });
      sums.forEach((row, i) => {
        for (let j = 0; j < row.length; j += 2) {
          const [low, high] = [row[j], row[j + 1]];
          if (!low || !high) continue;
          const place = (first + j * 2) * 4;
          const total = i32x4.add(i8x16.shuffle(low, high, even), i8x16.shuffle(low, high, odd));
          body.v128Store(target, i32x4.add(total, v128.load(panel, { offset: place })), {
            offset: i * width * 4 + place,
          });
        }
      });
    });
}

/** Rows of bytes in 0..127, `quads` times four each, by the panel; on targets with a relaxed dot. */
export function emitQuadVector(
  body: BodyBuilder,
  panel: Address,
  rows: readonly Address[],
  quads: Address,
  target: Address,
): void {
  // Sums that consecutive k take in turn hide the latency of a dot that accumulates.
  const sets = Array.from({ length: rows.length === 1 ? unroll : rows.length === 2 ? 2 : 1 }, () =>
    zeros(body, rows.length, width / 4),
  );
  const weights = body.local("i32", i32.add(panel, width * 4));
  const sources = rows.map((row) => body.local("i32", row));
  const step = (k: number): void => {
    const columns = [0, 16].map((offset) => body.local("v128", v128.load(weights, { offset: k * width * 4 + offset })));
    sources.forEach((source, i) => {
      const x = body.local("v128", v128.load32Splat(source, { offset: k * 4 }));
      columns.forEach((w, j) => {
        const sum = sets[k % sets.length]?.[i]?.[j];
        if (sum) body.set(sum, i32x4.relaxedDotI8x16I7x16AddS(w, x, sum));
      });
    });
  };
  overQuads(body, quads, step, (count) => {
    body.set(weights, i32.add(weights, count * width * 4));
    for (const source of sources) body.set(source, i32.add(source, count * 4));
  });
  rows.forEach((_, i) => {
    for (let j = 0; j < width / 4; j++) {
      const all = sets.flatMap((set) => set[i]?.[j] ?? []);
      const total = all.reduce<Expression<"v128">>(
        (sum, other) => i32x4.add(sum, other),
        v128.load(panel, { offset: j * 16 }),
      );
      body.v128Store(target, total, { offset: i * width * 4 + j * 16 });
    }
  });
}
