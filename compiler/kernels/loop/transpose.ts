/**
 * Copies of bytes or four-byte elements whose innermost axis is one in memory for the input and another for the output:
 * blocks of 16 by 4, turned in registers four by four, or eight by eight (transpose-bytes.ts). The range counts blocks: of the outer axes, then along the input's
 * innermost axis. Words: output, input, extents along the input's and the output's innermost axis, byte stride of the
 * input along the latter, of the output along the former, blocks, then extent and both strides (input first) of every outer axis.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import type { Expression as Code, FunctionReference, Local } from "../../assemble/expression.ts";
import { i32, minimumS } from "../../assemble/scalar.ts";
import { i8x16, v128 } from "../../assemble/vector.ts";
import { ceilDivideDims, type Dim, multiplyDims, productOf } from "../../graph/dimension.ts";
import type { Argument, Kernel, WasmKernelContext } from "../contract.ts";
import { recordLocals, recordWord } from "../record.ts";
import { emitByteBlock, type TransposedBlock } from "./transpose-bytes.ts";
import { transposeWgsl } from "./transpose-wgsl.ts";

/** One axis of a copy: its extent and the byte strides of both sides. */
export interface CopyAxis {
  readonly extent: Dim;
  readonly input: Dim;
  readonly output: Dim;
}

export interface Transposition {
  readonly kernel: Kernel;
  /** What follows the two addresses. */
  readonly arguments: readonly Argument[];
  readonly range: Dim;
}

/** Elements of one block along the input's innermost axis: a line of memory. */
const blockElements = 16;
const words = ["output", "input", "across", "down", "inputPitch", "outputPitch", "blocks"] as const;

/** Sizes of elements that are turned. */
export type TurnedBytes = 1 | 4;

/** undefined when the axes are no such copy of elements of `size` bytes, or too short for blocks. */
export function transposition(axes: readonly CopyAxis[], size: TurnedBytes): Transposition | undefined {
  const across = axes.find(({ input, output }) => input === size && output !== size);
  const down = axes.find(({ input, output }) => output === size && input !== size);
  const shortest = size === 1 ? 8 : 4;
  const isShort = ({ extent }: CopyAxis): boolean => typeof extent === "number" && extent < shortest;
  if (!across || !down || isShort(across) || isShort(down)) return undefined;
  const outer = axes.filter((axis) => axis !== across && axis !== down);
  const blocks = ceilDivideDims(across.extent, blockElements);
  const integers = [across.extent, down.extent, down.input, across.output, blocks];
  for (const { extent, input, output } of outer) integers.push(extent, input, output);
  return {
    kernel: {
      key: `transpose ${outer.length} ${size}`,
      name: "transpose",
      emitWasm: (context) => emitTranspose(context, outer.length, size),
      emitWgsl: () => transposeWgsl(outer.length, size),
    },
    arguments: integers.map((value) => ({ kind: "integer", value })),
    range: multiplyDims(blocks, productOf(outer.map(({ extent }) => extent))),
  };
}

function emitTranspose(context: WasmKernelContext, outerAxes: number, size: TurnedBytes): FunctionReference {
  return context.module.function(
    `transpose_${outerAxes}_${size}`,
    { params: ["i32", "i32", "i32"], results: [] },
    (body, record, begin, end) => {
      const args = recordLocals(body, record, words);
      const outer = Array.from({ length: outerAxes }, (_, axis) => ({
        extent: recordWord(record, words.length + axis * 3),
        input: recordWord(record, words.length + axis * 3 + 1),
        output: recordWord(record, words.length + axis * 3 + 2),
      }));
      body.forRange(begin, end, 1, (index) => {
        const from = body.local("i32", args.input);
        const to = body.local("i32", args.output);
        /** Takes the innermost of the remaining axes off the index. */
        const rest = body.local("i32", index);
        const takeOff = (extent: Code<"i32">): Local<"i32"> => {
          const quotient = body.local("i32", i32.divU(rest, extent));
          const coordinate = body.local("i32", i32.sub(rest, i32.mul(quotient, extent)));
          body.set(rest, quotient);
          return coordinate;
        };
        const first = body.local("i32", i32.mul(takeOff(args.blocks), blockElements));
        body.set(from, i32.add(from, i32.mul(first, size)));
        body.set(to, i32.add(to, i32.mul(first, args.outputPitch)));
        for (const axis of outer.reverse()) {
          const coordinate = takeOff(axis.extent);
          body.set(from, i32.add(from, i32.mul(coordinate, axis.input)));
          body.set(to, i32.add(to, i32.mul(coordinate, axis.output)));
        }
        const left = body.local("i32", i32.sub(args.across, first));
        const count = body.local("i32", minimumS(left, blockElements));
        const emit = size === 1 ? emitByteBlock : emitBlock;
        emit(body, { ...args, from, to, count });
      });
    },
  );
}

function emitBlock(body: BodyBuilder, { from, to, count, down, inputPitch, outputPitch }: TransposedBlock): void {
  const row = body.local("i32", 0);
  const source = body.local("i32");
  const target = body.local("i32");
  /** Runs `rows` rows of the input at a time; `four` and `one` turn that many of its elements. */
  const rows = (height: 1 | 4, four: () => void, one: () => void): void => {
    const limit = body.local("i32", i32.sub(down, height));
    body.if(i32.leS(row, limit), () => {
      body.loop((again) => {
        body.set(source, from);
        body.set(target, to);
        const left = body.local("i32", count);
        for (const [width, turn] of [[4, four] as const, [1, one] as const])
          body.block((done) => {
            body.loop((more) => {
              body.branchIf(done, i32.ltS(left, width));
              body.scope(turn);
              body.set(source, i32.add(source, width * 4));
              body.set(target, i32.add(target, i32.mul(outputPitch, width)));
              body.set(left, i32.sub(left, width));
              body.branch(more);
            });
          });
        body.set(from, i32.add(from, i32.mul(inputPitch, height)));
        body.set(to, i32.add(to, height * 4));
        body.set(row, i32.add(row, height));
        body.branchIf(again, i32.leS(row, limit));
      });
    });
  };
  /** `first`, and that many strides behind it. */
  const strided = (first: Local<"i32">, stride: Local<"i32">): readonly Local<"i32">[] => {
    const list = [first];
    for (let place = 1; place < 4; place++)
      list.push(body.local("i32", i32.add(list[place - 1] as Local<"i32">, stride)));
    return list;
  };
  const turnSquare = (): void => {
    const [a, b, c, d] = strided(source, inputPitch).map((address) => body.local("v128", v128.load(address))) as [
      Local<"v128">,
      Local<"v128">,
      Local<"v128">,
      Local<"v128">,
    ];
    const low = (x: Local<"v128">, y: Local<"v128">): Local<"v128"> =>
      body.local("v128", i8x16.shuffle(x, y, [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23]));
    const high = (x: Local<"v128">, y: Local<"v128">): Local<"v128"> =>
      body.local("v128", i8x16.shuffle(x, y, [8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31]));
    const halves = (x: Local<"v128">, y: Local<"v128">): readonly Code<"v128">[] => [
      i8x16.shuffle(x, y, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]),
      i8x16.shuffle(x, y, [8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31]),
    ];
    const columns = [...halves(low(a, b), low(c, d)), ...halves(high(a, b), high(c, d))];
    strided(target, outputPitch).forEach((address, place) => body.v128Store(address, columns[place] as Code<"v128">));
  };
  rows(4, turnSquare, () => {
    // Four rows of one element: one vector of the output.
    const vector = strided(source, inputPitch).reduce<Code<"v128">>(
      (lanes, address, lane) => v128.load32Lane(address, lanes, lane),
      v128.const(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    );
    body.v128Store(target, vector);
  });
  rows(
    1,
    () => {
      const vector = body.local("v128", v128.load(source));
      strided(target, outputPitch).forEach((address, lane) => body.v128Store32Lane(address, vector, lane));
    },
    () => body.i32Store(target, i32.load(source)),
  );
}
