/** A block of a transposing copy of bytes: eight by eight turned in registers, byte by byte what is left over. */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Local } from "../../assemble/expression.ts";
import { i32 } from "../../assemble/scalar.ts";
import { i8x16, v128 } from "../../assemble/vector.ts";

type Vector = Local<"v128">;

const side = 8;

/** What is turned: addresses, extents and byte distances. */
export interface TransposedBlock {
  readonly from: Local<"i32">;
  readonly to: Local<"i32">;
  /** Elements along the input's innermost axis. */
  readonly count: Local<"i32">;
  readonly down: Local<"i32">;
  readonly inputPitch: Local<"i32">;
  readonly outputPitch: Local<"i32">;
}

export function emitByteBlock(
  body: BodyBuilder,
  { from, to, count, down, inputPitch, outputPitch }: TransposedBlock,
): void {
  const row = body.local("i32", 0);
  const source = body.local("i32");
  const target = body.local("i32");
  /** Turns `height` rows of the input at a time, `width` of its elements each. */
  const rows = (height: number, pieces: readonly (readonly [width: number, turn: () => void])[]): void => {
    const limit = body.local("i32", i32.sub(down, height));
    body.block((end) => {
      body.loop((again) => {
        body.branchIf(end, i32.gtS(row, limit));
        body.set(source, from);
        body.set(target, to);
        const left = body.local("i32", count);
        for (const [width, turn] of pieces)
          body.block((done) => {
            body.loop((more) => {
              body.branchIf(done, i32.ltS(left, width));
              body.scope(turn);
              body.set(source, i32.add(source, width));
              body.set(target, i32.add(target, i32.mul(outputPitch, width)));
              body.set(left, i32.sub(left, width));
              body.branch(more);
            });
          });
        body.set(from, i32.add(from, i32.mul(inputPitch, height)));
        body.set(to, i32.add(to, height));
        body.set(row, i32.add(row, height));
        body.branch(again);
      });
    });
  };
  const column = (height: number): void => {
    const at = body.local("i32", source);
    for (let place = 0; place < height; place++) {
      body.i32Store8(target, i32.load8U(at), { offset: place });
      if (place + 1 < height) body.set(at, i32.add(at, inputPitch));
    }
  };
  rows(side, [
    [side, () => turnSquare(body, source, target, inputPitch, outputPitch)],
    [1, () => column(side)],
  ]);
  rows(1, [[1, () => column(1)]]);
}

function turnSquare(
  body: BodyBuilder,
  source: Local<"i32">,
  target: Local<"i32">,
  inputPitch: Local<"i32">,
  outputPitch: Local<"i32">,
): void {
  const at = body.local("i32", source);
  let vectors: readonly Vector[] = Array.from({ length: side }, (_, row) => {
    if (row > 0) body.set(at, i32.add(at, inputPitch));
    return body.local("v128", v128.load64Zero(at));
  });
  const pair = (list: readonly Vector[], a: number, b: number, lanes: readonly number[]): Vector =>
    body.local("v128", i8x16.shuffle(list[a] as Vector, list[b] as Vector, lanes));
  vectors = [0, 2, 4, 6].map((row) => pair(vectors, row, row + 1, interleaved(1, 0)));
  vectors = [0, 2].flatMap((row) => [0, 8].map((half) => pair(vectors, row, row + 1, interleaved(2, half))));
  // Two columns each: 0 and 1, 2 and 3, …
  vectors = [0, 1].flatMap((row) => [0, 8].map((half) => pair(vectors, row, row + 2, interleaved(4, half))));
  const to = body.local("i32", target);
  for (let place = 0; place < side; place++) {
    if (place > 0) body.set(to, i32.add(to, outputPitch));
    body.v128Store64Lane(to, vectors[place >> 1] as Vector, place & 1);
  }
}

/** Shuffle lanes that take pieces of `size` bytes in turn from two vectors, beginning at byte `first` of both. */
const interleaved = (size: number, first: number): readonly number[] =>
  Array.from({ length: 16 }, (_, lane) => {
    const piece = Math.floor(lane / size);
    return first + (piece >> 1) * size + (lane % size) + (piece & 1) * 16;
  });
