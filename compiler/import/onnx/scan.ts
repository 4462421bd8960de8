/**
 * Walks a model file through a small window, so that a file of any size is read without its weights: the fields of
 * ModelProto and GraphProto one by one, and of each initialiser everything but its payload, which stays a byte range.
 */
import type { ByteSource } from "../source.ts";
import {
  addGraphField,
  decodeFunction,
  decodeOpset,
  decodeTensor,
  emptyGraph,
  type GrowingGraph,
  graphFields,
  isTensorPayload,
} from "./decode.ts";
import { malformed, wireBytes, wireFixed32, wireFixed64, wireVarint } from "./message.ts";
import type { ByteRange, OnnxFunction, OnnxModel, OnnxTensor, TensorChunk } from "./model.ts";

const windowBytes = 1 << 18;
/** Longest tag and length together. */
const headBytes = 20;
/** Initialisers up to this size are read with the window instead of being taken apart. */
const smallTensor = 1 << 10;

interface Field {
  readonly number: number;
  readonly wire: number;
  /** Where the tag stands. */
  readonly tag: number;
  /** Content: [start, end). */
  readonly start: number;
  readonly end: number;
}

class Scanner {
  readonly #source: ByteSource;
  readonly #size: number;
  #window: Uint8Array = new Uint8Array(0);
  #windowStart = 0;

  constructor(source: ByteSource, size: number) {
    this.#source = source;
    this.#size = size;
  }

  /** Bytes [start, end), a view of the window where they fit into it. */
  async bytes(start: number, end: number): Promise<Uint8Array> {
    if (end - start > windowBytes) return this.#source.read(start, end - start);
    await this.#cover(start, end);
    return this.#window.subarray(start - this.#windowStart, end - this.#windowStart);
  }

  /** The fields of the message that stands at [start, end). */
  async *fields(start: number, end: number): AsyncGenerator<Field, void> {
    for (let position = start; position < end; ) {
      await this.#cover(position, Math.min(position + headBytes, end));
      const field = this.#field(position, end);
      yield field;
      position = field.end;
    }
  }

  async #cover(start: number, end: number): Promise<void> {
    if (start >= this.#windowStart && end <= this.#windowStart + this.#window.byteLength) return;
    this.#window = await this.#source.read(start, Math.max(0, Math.min(windowBytes, this.#size - start)));
    this.#windowStart = start;
  }

  #field(tag: number, end: number): Field {
    const [key, afterKey] = this.#varint(tag, end);
    const number = Math.floor(key / 8);
    const wire = key % 8;
    if (number === 0) throw malformed(this.#source.name, `a field without a number at byte ${tag}`);
    let start = afterKey;
    let length = 0;
    if (wire === wireVarint) length = this.#varint(afterKey, end)[1] - afterKey;
    else if (wire === wireFixed64) length = 8;
    else if (wire === wireFixed32) length = 4;
    else if (wire === wireBytes) [length, start] = this.#varint(afterKey, end);
    else throw malformed(this.#source.name, `an unknown wire type at byte ${tag}`, "0, 1, 2 or 5", `${wire}`);
    if (start + length > end)
      throw malformed(
        this.#source.name,
        `the field at byte ${tag} runs past its message`,
        `at most ${end - start} bytes`,
        `${length} bytes`,
      );
    return { number, wire, tag, start, end: start + length };
  }

  #varint(position: number, end: number): readonly [value: number, next: number] {
    let value = 0;
    for (let i = 0; i < 10 && position + i < end; i++) {
      const byte = this.#window[position + i - this.#windowStart] ?? 0;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return [value, position + i + 1];
    }
    throw malformed(this.#source.name, `an unfinished number at byte ${position}`);
  }
}

async function scanTensor(scanner: Scanner, tensor: ByteRange): Promise<OnnxTensor> {
  const end = tensor.offset + tensor.length;
  // A copy: a view would keep the whole window alive.
  if (tensor.length <= smallTensor) return decodeTensor((await scanner.bytes(tensor.offset, end)).slice());
  const head: Uint8Array[] = [];
  const chunks: TensorChunk[] = [];
  for await (const field of scanner.fields(tensor.offset, end)) {
    if (isTensorPayload(field.number))
      chunks.push({ field: field.number, payload: { offset: field.start, length: field.end - field.start } });
    else head.push((await scanner.bytes(field.tag, field.end)).slice());
  }
  return { ...decodeTensor(concatenate(head)), chunks };
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.byteLength;
  }
  return whole;
}

async function scanGraph(scanner: Scanner, graph: GrowingGraph, start: number, end: number): Promise<void> {
  for await (const field of scanner.fields(start, end)) {
    if (field.wire !== wireBytes) continue;
    if (field.number === graphFields.initializer)
      graph.initializers.push(await scanTensor(scanner, { offset: field.start, length: field.end - field.start }));
    else if (Object.values(graphFields).some((known) => known === field.number)) {
      const bytes = await scanner.bytes(field.start, field.end);
      addGraphField(graph, field.number, () => bytes, 0);
    }
  }
}

/** Reads everything of a model but the payload of its initialisers. Throws model-invalid for a file that is not one. */
export async function scanModel(source: ByteSource): Promise<OnnxModel> {
  const size = await source.size();
  const scanner = new Scanner(source, size);
  const graph = emptyGraph();
  const opsets = new Map<string, number>();
  const functions: OnnxFunction[] = [];
  let producer = "";
  let hasGraph = false;
  for await (const field of scanner.fields(0, size)) {
    if (field.wire !== wireBytes) continue;
    const bytes = (): Promise<Uint8Array> => scanner.bytes(field.start, field.end);
    if (field.number === 2) producer = new TextDecoder().decode(await bytes());
    else if (field.number === 7) {
      hasGraph = true;
      await scanGraph(scanner, graph, field.start, field.end);
    } else if (field.number === 8) opsets.set(...decodeOpset(await bytes()));
    else if (field.number === 25) functions.push(decodeFunction(await bytes()));
  }
  if (!hasGraph)
    throw malformed(source.name, "the file holds no graph", "an ONNX model", `${size} bytes without a graph`);
  return { producer, graph, opsets, functions };
}
