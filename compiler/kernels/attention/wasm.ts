/**
 * WebAssembly of attention. Per iteration of the range: for each block of keys, for each tile of rows: scores into
 * scratch, exponentials, product with the values. The output holds the sums of the blocks so far; a row's largest
 * score and its sum wait in scratch. A ragged last tile repeats its last row.
 */
import type { BodyBuilder } from "../../assemble/body.ts";
import { type Expression, type FunctionReference, type Local, select } from "../../assemble/expression.ts";
import { f32, i32, maximumS, minimumS } from "../../assemble/scalar.ts";
import { f32x4, v128 } from "../../assemble/vector.ts";
import type { WasmKernelContext } from "../contract.ts";
import { rowsOn } from "../tile/multiply.ts";
import { RecordReader } from "../tile/words.ts";
import { emitExponentials } from "./exponentials.ts";
import { loadValid, packKeys, packTransposedKeys, packValues } from "./pack.ts";
import { packedProduct } from "./packed.ts";
import { emitScores } from "./scores.ts";
import { type AttentionShape, queryPitch, type ScratchLayout, scorePitch, scratchLayout, stateBytes } from "./shape.ts";
import { streamedProduct } from "./stream.ts";
import type { AttentionTarget, Block, ScoreTile, TileRows } from "./tile.ts";
import { rowsPerUnit } from "./variants.ts";

type Address = Local<"i32">;

const signature = { params: ["i32", "i32", "i32"], results: [] } as const;

/** Below every score but -Infinity. */
const lowest = -3.4028234663852886e38;

export function emitAttention(context: WasmKernelContext, shape: AttentionShape): FunctionReference {
  const form = (rows: number, packed: boolean): FunctionReference<readonly ["i32", "i32", "i32"], readonly []> =>
    context.module.function(packed ? "attention" : "attention_stream", signature, (body, record, begin, end) => {
      new AttentionCode(context, shape, body, new RecordReader(body, record, shape.names), rows, packed).run(
        begin,
        end,
      );
    });
  const { streamRows, fewRows, group } = shape;
  const packedRows = shape.packedRows && rowsOn(context.target, shape.packedRows);
  if (packedRows === undefined) return form(streamRows ?? 1, false);
  if (streamRows === undefined) return form(packedRows, true);
  const [packed, streamed] = [form(packedRows, true), form(streamRows, false)];
  return context.module.function("attention_either", signature, (body, record, begin, end) => {
    const words = new RecordReader(body, record, shape.names);
    body.if(
      i32.leS(i32.mul(words.word("queries"), group), fewRows),
      () => body.call(streamed, record, begin, end),
      () => body.call(packed, record, begin, end),
    );
  });
}

/** A pointer that follows the rows: from head to head of the group, then to the next query. */
interface RowPointer {
  readonly at: Address;
  readonly perHead: Expression<"i32">;
  /** From the last head of a query to the first of the next. */
  readonly perQuery: Expression<"i32">;
}

class AttentionCode {
  readonly #context: WasmKernelContext;
  readonly #shape: AttentionShape;
  readonly #body: BodyBuilder;
  readonly #words: RecordReader;
  readonly #rows: number;
  readonly #packed: boolean;
  readonly #layout: ScratchLayout;
  readonly #followsPosition: boolean;

  constructor(
    context: WasmKernelContext,
    shape: AttentionShape,
    body: BodyBuilder,
    words: RecordReader,
    rows: number,
    packed: boolean,
  ) {
    this.#context = context;
    this.#shape = shape;
    this.#body = body;
    this.#words = words;
    this.#rows = rows;
    this.#packed = packed;
    this.#layout = scratchLayout(shape, rowsPerUnit);
    this.#followsPosition = shape.causal || shape.window;
  }

  run(begin: Address, end: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { group } = this.#shape;
    const scratch = words.local("scratch");
    const allRows = body.local("i32", i32.mul(words.word("queries"), group));
    const unitsPerHead = body.local("i32", i32.divU(i32.add(allRows, rowsPerUnit - 1), rowsPerUnit));
    // Units of one head in a row find its keys packed already when one block holds them all.
    const packedHead = body.local("i32", -1);
    body.forRange(begin, end, 1, (unit) => {
      const head = body.local("i32", i32.divU(unit, unitsPerHead));
      const firstRow = body.local("i32", i32.mul(i32.sub(unit, i32.mul(head, unitsPerHead)), rowsPerUnit));
      const rows = body.local("i32", i32.sub(allRows, firstRow));
      body.set(rows, minimumS(rows, rowsPerUnit));
      this.#unit(scratch, head, firstRow, rows, packedHead);
    });
  }

  /** Rows firstRow..firstRow+rows-1 of one key-value head of one batch. */
  #unit(scratch: Address, head: Address, firstRow: Address, rows: Address, packedHead: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { group, causal, window, lengths, mask, block, single } = this.#shape;
    const batch = body.local("i32", i32.divU(head, words.word("keyHeads")));
    const shared = body.local("i32", i32.sub(head, i32.mul(batch, words.word("keyHeads"))));
    const query = body.local("i32", i32.divU(firstRow, group));
    const place = body.local("i32", i32.sub(firstRow, i32.mul(query, group)));
    const queryHead = body.local("i32", i32.add(i32.mul(shared, group), place));
    const pointer = (name: string): RowPointer => {
      const offset = i32.add(
        i32.add(i32.mul(batch, words.word(`${name}Batch`)), i32.mul(queryHead, words.word(`${name}Head`))),
        i32.mul(query, words.word(`${name}Token`)),
      );
      const perHead = words.local(`${name}Head`);
      return {
        at: body.local("i32", i32.add(words.word(name), offset)),
        perHead,
        perQuery: body.local("i32", i32.sub(words.word(`${name}Token`), i32.mul(perHead, group - 1))),
      };
    };
    const pointers = [pointer("query"), pointer("output"), ...(mask === "none" ? [] : [pointer("mask")])];
    const operand = (name: string): Address =>
      body.local(
        "i32",
        i32.add(
          words.word(name),
          i32.add(i32.mul(batch, words.word(`${name}Batch`)), i32.mul(shared, words.word(`${name}Head`))),
        ),
      );
    const [keys, values] = [operand("key"), operand("value")];
    const length = words.local("keys");
    if (lengths) {
      const given = body.local("i32", i32.load(i32.add(words.word("lengths"), i32.shl(batch, 2))));
      body.set(length, minimumS(length, given));
      body.set(length, maximumS(length, 0));
    }
    /** Keys up to the position of the first row, its own included; negative when it sees none. */
    const reach = body.local("i32", i32.add(i32.sub(i32.add(query, 1), words.word("queries")), length));
    const keysEnd = body.local("i32", length);
    if (causal) {
      const lastQuery = i32.divU(i32.sub(i32.add(firstRow, rows), 1), group);
      body.set(keysEnd, i32.add(reach, i32.sub(lastQuery, query)));
      body.set(keysEnd, maximumS(keysEnd, 0));
    }
    const first = body.local("i32", 0);
    if (window) {
      body.set(first, i32.sub(reach, words.word("window")));
      body.set(first, i32.and(maximumS(first, 0), -8));
    }
    if (!single)
      body.forRange(0, rows, 1, (row) => {
        const state = body.local("i32", i32.add(scratch, i32.mul(row, stateBytes)));
        body.f32Store(state, lowest, { offset: this.#layout.state });
        body.f32Store(state, 0, { offset: this.#layout.state + 4 });
      });
    const start = body.local("i32", first);
    body.loop((again) => {
      const count = body.local("i32", i32.sub(keysEnd, start));
      body.set(count, minimumS(count, block));
      const current: Block = {
        start,
        count,
        isFirst: i32.eq(start, first),
        isLast: i32.geS(i32.add(start, block), keysEnd),
        key: body.local("i32", i32.add(keys, this.#keyOffset(start))),
        value: body.local("i32", i32.add(values, i32.mul(start, words.word("valueToken")))),
        keysEnd,
      };
      if (this.#packed) this.#pack(scratch, current, head, packedHead);
      body.scope(() => this.#tiles(scratch, current, pointers, place, reach, rows, length));
      body.set(start, i32.add(start, block));
      body.branchIf(again, i32.ltS(start, keysEnd));
    });
  }

  #keyOffset(token: Expression<"i32">): Expression<"i32"> {
    return this.#shape.transposedKeys ? i32.shl(token, 2) : i32.mul(token, this.#words.word("keyToken"));
  }

  #pack(scratch: Address, block: Block, head: Address, packedHead: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { depth, valueDepth, block: most, single, transposedKeys } = this.#shape;
    const pack = (): void => {
      const keysTo = i32.add(scratch, this.#layout.keys);
      if (transposedKeys)
        body.call(packTransposedKeys(this.#context, depth), keysTo, block.key, words.word("keyFeature"), block.count);
      else body.call(packKeys(this.#context, depth), keysTo, block.key, words.word("keyToken"), block.count);
      body.call(
        packValues(this.#context, valueDepth, most),
        i32.add(scratch, this.#layout.values),
        block.value,
        words.word("valueToken"),
        block.count,
      );
    };
    if (!single || this.#followsPosition) pack();
    else
      body.if(i32.ne(head, packedHead), () => {
        pack();
        body.set(packedHead, head);
      });
  }

  /** All rows of the unit over one block. */
  #tiles(
    scratch: Address,
    block: Block,
    pointers: readonly RowPointer[],
    place: Address,
    reach: Address,
    rows: Address,
    length: Address,
  ): void {
    const body = this.#body;
    const cursors = pointers.map(({ at, ...steps }) => ({ at: body.local("i32", at), ...steps }));
    const member = body.local("i32", place);
    const reached = body.local("i32", reach);
    const state = body.local("i32", i32.add(scratch, this.#layout.state));
    const left = body.local("i32", rows);
    const advance = (moves: Expression<"i32">): void => {
      const { group } = this.#shape;
      if (group > 1) {
        body.set(member, i32.add(member, moves));
        const wraps = body.local("i32", i32.eq(member, group));
        body.set(member, select("i32", wraps, 0, member));
        for (const { at, perHead, perQuery } of cursors)
          body.set(at, i32.add(at, i32.mul(select("i32", wraps, perQuery, perHead), moves)));
        if (this.#followsPosition) body.set(reached, i32.add(reached, wraps));
      } else {
        for (const { at, perQuery } of cursors) body.set(at, i32.add(at, i32.mul(perQuery, moves)));
        if (this.#followsPosition) body.set(reached, i32.add(reached, moves));
      }
      if (!this.#shape.single) body.set(state, i32.add(state, i32.mul(moves, stateBytes)));
    };
    body.loop((again) => {
      const locals = (): Address[] => Array.from({ length: this.#rows }, () => body.local("i32"));
      const tile: TileRows = {
        outputs: locals(),
        masks: this.#shape.mask === "none" ? [] : locals(),
        reaches: this.#followsPosition ? locals() : [],
        states: this.#shape.single ? [] : locals(),
      };
      const [query, output, mask] = cursors as unknown as readonly [RowPointer, RowPointer, RowPointer | undefined];
      for (let row = 0; row < this.#rows; row++) {
        this.#copyQuery(i32.add(scratch, this.#layout.query + row * queryPitch(this.#shape)), query.at);
        body.set(tile.outputs[row] as Address, output.at);
        if (mask) body.set(tile.masks[row] as Address, mask.at);
        if (tile.reaches[row]) body.set(tile.reaches[row] as Address, reached);
        if (tile.states[row]) body.set(tile.states[row] as Address, state);
        if (row + 1 < this.#rows) body.scope(() => advance(body.local("i32", i32.gtS(left, row + 1))));
      }
      body.scope(() => advance(i32.const(1)));
      this.#tile(scratch, block, tile, length);
      body.branchIf(again, i32.gtS(body.tee(left, i32.sub(left, this.#rows)), 0));
    });
  }

  /** One row of queries, scaled, zeros behind its last feature. */
  #copyQuery(to: Expression<"i32">, from: Address): void {
    const { depth } = this.#shape;
    const copy = this.#context.shared(`scaled row ${depth}`, () =>
      this.#context.module.function(
        `scaled_row_${depth}`,
        { params: ["i32", "i32", "f32"], results: [] },
        (body, target, source, scale) => {
          const factor = body.local("v128", f32x4.splat(scale));
          body.forRange(0, depth >> 2, 1, () => {
            body.v128Store(target, f32x4.mul(v128.load(source), factor));
            body.set(target, i32.add(target, 16));
            body.set(source, i32.add(source, 16));
          });
          if (depth % 4 > 0)
            body.v128Store(target, f32x4.mul(loadValid(this.#context, source, i32.const(depth % 4)), factor));
        },
      ),
    ) as FunctionReference<readonly ["i32", "i32", "f32"], readonly []>;
    this.#body.call(copy, to, from, f32.reinterpretI32(this.#words.word("scale")));
  }

  #tile(scratch: Address, block: Block, rows: TileRows, length: Address): void {
    const body = this.#body;
    const words = this.#words;
    const { causal, window, single } = this.#shape;
    const last = rows.reaches.at(-1);
    const nearest = rows.reaches[0];
    /** Columns of the block that some row sees: begin..end-1. */
    const end = body.local("i32", block.count);
    if (causal && last) {
      const own = body.local("i32", i32.sub(last, block.start));
      body.set(end, minimumS(own, end));
      body.set(end, maximumS(end, 0));
    }
    const begin = body.local("i32", 0);
    if (window && nearest) {
      body.set(begin, i32.sub(i32.sub(nearest, words.word("window")), block.start));
      body.set(begin, maximumS(begin, 0));
      body.set(begin, i32.and(minimumS(begin, end), -8));
    }
    const scores = body.local("i32", i32.add(scratch, this.#layout.scores));
    const largest = Array.from({ length: this.#rows }, (_, row) =>
      body.local("v128", single ? f32x4.splat(lowest) : v128.load32Splat(rows.states[row] as Address)),
    );
    const code: AttentionTarget = {
      context: this.#context,
      body,
      words,
      shape: this.#shape,
      packed: this.#packed,
    };
    const tile: ScoreTile = { begin, end, scores, largest };
    emitScores(code, block, rows, tile, {
      query: body.local("i32", i32.add(scratch, this.#layout.query)),
      keys: body.local("i32", i32.add(scratch, this.#layout.keys)),
      length,
    });
    const factors = emitExponentials(code, block, rows, tile);
    const target = {
      outputs: rows.outputs,
      scores,
      scorePitch: scorePitch(this.#shape),
      begin,
      end,
      isFirst: single ? undefined : block.isFirst,
      ...factors,
    };
    if (this.#packed) packedProduct(this.#context, body, this.#shape, target, i32.add(scratch, this.#layout.values));
    else streamedProduct(this.#context, body, this.#shape, target, block.value, words.local("valueToken"));
  }
}
