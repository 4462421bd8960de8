/**
 * A module of the package in the form that threads share: its one import, the memory, becomes a shared memory of at
 * least the stated size. Nothing else of the module changes, so one file serves both forms.
 */
import { LeafcutterError } from "../format/diagnostic.ts";

const importSection = 2;
const memoryKind = 2;
/** Shared, with a maximum. */
const sharedLimits = 3;
/** 65536 pages in LEB128. */
const everyPage = [0x80, 0x80, 0x04];

class Cursor {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  byte(): number {
    return this.bytes[this.at++] ?? 0;
  }

  /** An unsigned LEB128 number of 32 bits. */
  unsigned(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    return value;
  }

  /** Passes over a name. */
  name(): void {
    const bytes = this.unsigned();
    this.at += bytes;
  }
}

function unsigned(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...unsigned(Math.floor(value / 0x80))];
}

/** Throws LeafcutterError package-invalid for a module that does not import exactly one memory. */
export function sharedForm(module: Uint8Array, where: string): Uint8Array<ArrayBuffer> {
  const cursor = new Cursor(module, 8);
  while (cursor.at < module.length) {
    const start = cursor.at;
    const id = cursor.byte();
    const size = cursor.unsigned();
    const content = cursor.at;
    const end = content + size;
    if (id !== importSection) {
      cursor.at = end;
      continue;
    }
    const imports = cursor.unsigned();
    const names = cursor.at;
    cursor.name();
    cursor.name();
    const afterNames = cursor.at;
    if (imports !== 1 || cursor.byte() !== memoryKind) break;
    cursor.byte();
    const initial = cursor.unsigned();
    const memory = [memoryKind, sharedLimits, ...unsigned(initial), ...everyPage];
    const body = [1, ...module.subarray(names, afterNames), ...memory];
    const section = [importSection, ...unsigned(body.length), ...body];
    const shared = new Uint8Array(start + section.length + Math.max(0, module.length - end));
    shared.set(module.subarray(0, start));
    shared.set(section, start);
    shared.set(module.subarray(end), start + section.length);
    return shared;
  }
  throw new LeafcutterError({
    code: "package-invalid",
    message: "the module imports what it must not",
    where,
    expected: "the import env.memory alone",
  });
}
