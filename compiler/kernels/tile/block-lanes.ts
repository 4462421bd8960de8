/**
 * int4 and nf4 nibbles as float32 lanes. A q of int4 may keep the place that it has in its 16 bits: the c-th of four is then
 * 16^c times too large, which `placed` makes up for in the scale, an exact power of two.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression, Local } from "../../assemble/expression.ts";
import type { WasmTarget } from "../../assemble/target.ts";
import { f32x4, i8x16, i16x8, i32x4, v128 } from "../../assemble/vector.ts";
import { symmetricZero } from "../../graph/blocks.ts";
import { nf4Code } from "../../graph/nf4.ts";
import { type BlockWeights, blockLayout } from "./block-layout.ts";
import { halfLanes } from "./panel.ts";

type Vector = Expression<"v128">;

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

/** The panel's bias, one vector per four columns; zeros where it has none. */
export const blockBias = (
  body: BodyBuilder,
  { bias }: BlockWeights,
  width: number,
  panel: Expression<"i32">,
): readonly Local<"v128">[] =>
  upTo(width / 4).map((j) => body.local("v128", bias ? v128.load(panel, { offset: j * 16 }) : f32x4.const(0, 0, 0, 0)));

/** Scales of a block, one vector per four columns. */
export function blockScales(
  body: BodyBuilder,
  blocks: BlockWeights,
  width: number,
  block: Expression<"i32">,
): readonly Local<"v128">[] {
  return upTo(width / 4).map((j) =>
    body.local(
      "v128",
      blocks.scaleType === "float16"
        ? halfLanes(i32x4.shl(v128.load16x4U(block, { offset: j * 8 }), 16))
        : v128.load(block, { offset: j * 16 }),
    ),
  );
}

/** Times the power of 16 that a q in its place has too much. */
export const placed = (scale: Vector): Vector => f32x4.mul(scale, f32x4.const(1, 1 / 16, 1 / 256, 1 / 4096));

/** Four nibbles at `address + offset`, each in its place. Reads two bytes more: to spread 32 bits is one instruction. */
export const inPlace = (address: Expression<"i32">, offset: number): Vector =>
  f32x4.convertI32x4S(v128.and(v128.load32Splat(address, { offset }), i32x4.const(0xf, 0xf0, 0xf00, 0xf000)));

/** Zeros of an int4 block in the places of the nibbles, one vector per four columns. */
export function placedZeros(
  body: BodyBuilder,
  blocks: BlockWeights,
  width: number,
  block: Expression<"i32">,
): readonly Vector[] {
  const { zeros } = blockLayout(blocks, width);
  const z = symmetricZero;
  return upTo(width / 4).map((j) =>
    blocks.zeros ? body.local("v128", inPlace(block, zeros + j * 2)) : f32x4.const(z, z * 16, z * 256, z * 4096),
  );
}

/** Bytes of two vectors in turn, first or second half of both. */
export const interleaved = (low: Vector, high: Vector, half: 0 | 1): Vector =>
  i8x16.shuffle(
    low,
    high,
    upTo(8).flatMap((byte) => [byte + 8 * half, byte + 8 * half + 16]),
  );

/** The nibbles of sixteen bytes, the lower ones and the upper ones. */
export function nibbles(body: BodyBuilder, bytes: Vector): readonly [Local<"v128">, Local<"v128">] {
  const held = body.local("v128", bytes);
  const low = i8x16.const(...new Array<number>(16).fill(15));
  return [body.local("v128", v128.and(held, low)), body.local("v128", v128.and(i16x8.shrU(held, 4), low))];
}

/** Byte `byte` of the codes' bits as a table of sixteen. */
function codeTable(byte: 2 | 3): Vector {
  const view = new DataView(new Float32Array(nf4Code).buffer);
  return i8x16.const(...nf4Code.map((_, q) => view.getUint8(q * 4 + byte)));
}

/** The upper halves of the codes of sixteen nibbles: those of the first eight, then those of the others. */
export function codes(body: BodyBuilder, target: WasmTarget, q: Vector): readonly [Local<"v128">, Local<"v128">] {
  const look = target.relaxedMadd ? i8x16.relaxedSwizzle : i8x16.swizzle;
  const index = body.local("v128", q);
  const low = body.local("v128", look(codeTable(2), index));
  const high = body.local("v128", look(codeTable(3), index));
  return [body.local("v128", interleaved(low, high, 0)), body.local("v128", interleaved(low, high, 1))];
}

/** Eight upper halves as float32 lanes, in order. */
export const widened = (halves: Vector): readonly Vector[] =>
  [0, 8].map((first) =>
    i8x16.shuffle(
      i32x4.const(0, 0, 0, 0),
      halves,
      [0, 2, 4, 6].flatMap((half) => [0, 1, 16, 17].map((byte) => first + half + byte)),
    ),
  );

/** Zeros of an int4 block as bytes, those of the columns in turn. */
export function zeroBytes(
  body: BodyBuilder,
  blocks: BlockWeights,
  width: number,
  block: Expression<"i32">,
): Local<"v128"> {
  if (!blocks.zeros) return body.local("v128", i8x16.const(...new Array<number>(16).fill(symmetricZero)));
  const spread = width === 4 ? v128.load16Splat : width === 8 ? v128.load32Splat : v128.load64Splat;
  const [low, high] = nibbles(body, spread(block, { offset: blockLayout(blocks, width).zeros }));
  return body.local("v128", interleaved(low, high, 0));
}

/** Sixteen bytes of nibbles as eight vectors in order: q less `zeros` of int4, codes of nf4. */
export function nibbleLanes(
  body: BodyBuilder,
  target: WasmTarget,
  bytes: Vector,
  zeros: Local<"v128"> | undefined,
): readonly Vector[] {
  const [low, high] = nibbles(body, bytes);
  return ([0, 1] as const).flatMap((half) => {
    const q = interleaved(low, high, half);
    if (!zeros) return codes(body, target, q).flatMap(widened);
    const step = body.local("v128", i8x16.sub(q, zeros));
    return [i16x8.extendLowI8x16S(step), i16x8.extendHighI8x16S(step)].flatMap((words) => {
      const eight = body.local("v128", words);
      return [i32x4.extendLowI16x8S(eight), i32x4.extendHighI16x8S(eight)].map((lanes) => f32x4.convertI32x4S(lanes));
    });
  });
}
