/**
 * Reads one protobuf message held in memory, field by field, over `pbf`. Adds what a damaged file needs: wire types
 * are checked, nothing is read past the message, and every fault is a LeafcutterError (model-invalid).
 */
import { PbfReader } from "pbf";
import { LeafcutterError } from "../../../runtime/format/diagnostic.ts";

export const wireVarint = 0;
export const wireFixed64 = 1;
export const wireBytes = 2;
export const wireFixed32 = 5;

const text = new TextDecoder();

/** The error for bytes that are not the message they should be. */
export function malformed(where: string, message: string, expected?: string, received?: string): LeafcutterError {
  return new LeafcutterError({
    code: "model-invalid",
    where,
    message,
    ...(expected === undefined ? {} : { expected }),
    ...(received === undefined ? {} : { received }),
    advice: "The file is truncated, damaged or not an ONNX file.",
  });
}

export class MessageReader {
  readonly #pbf: PbfReader;
  readonly #what: string;

  /** `what` names the message in errors. */
  constructor(bytes: Uint8Array, what: string) {
    this.#pbf = new PbfReader(bytes);
    this.#what = what;
  }

  /** Number of the next field, after skipping the current one if it was not read; 0 at the end. */
  next(): number {
    const number = this.#guard(() => this.#pbf.nextField());
    if (number === 0 && this.#pbf.pos !== this.#pbf.length) throw malformed(this.#what, "a field without a number");
    return number;
  }

  /** Wire type of the current field. */
  get wire(): number {
    return this.#pbf.type;
  }

  /** A 64-bit signed varint, rounded to a double beyond 2^53. */
  integer(): number {
    this.#expect(wireVarint);
    return this.#guard(() => this.#pbf.readVarint(true));
  }

  float(): number {
    this.#expect(wireFixed32);
    return this.#guard(() => this.#pbf.readFloat());
  }

  bytes(): Uint8Array {
    this.#expect(wireBytes);
    return this.#guard(() => this.#pbf.readBytes());
  }

  string(): string {
    return text.decode(this.bytes());
  }

  /** Appends a repeated integer field, packed or not. */
  integers(into: number[]): void {
    if (this.wire !== wireBytes) into.push(this.integer());
    else this.#guard(() => this.#pbf.readPackedVarint(into, true));
  }

  /** Appends a repeated float field, packed or not. */
  floats(into: number[]): void {
    if (this.wire !== wireBytes) into.push(this.float());
    else this.#guard(() => this.#pbf.readPackedFloat(into));
  }

  /** The bytes of the current field's value as they stand: payload of a length-delimited one, else the encoded number. */
  payload(): Uint8Array {
    if (this.wire === wireBytes) return this.bytes();
    const start = this.#pbf.pos;
    this.#guard(() => this.#pbf.skip(this.#pbf.type));
    return this.#pbf.buf.subarray(start, this.#pbf.pos);
  }

  #expect(wire: number): void {
    if (this.wire !== wire)
      throw malformed(this.#what, "a field has the wrong wire type", String(wire), String(this.wire));
  }

  #guard<T>(read: () => T): T {
    let result: T;
    try {
      result = read();
    } catch (cause) {
      throw malformed(
        this.#what,
        `the bytes are not a valid message (${cause instanceof Error ? cause.message : cause})`,
      );
    }
    if (this.#pbf.pos > this.#pbf.length)
      throw malformed(
        this.#what,
        "a field runs past the end of its message",
        `${this.#pbf.length} bytes`,
        `${this.#pbf.pos}`,
      );
    return result;
  }
}
