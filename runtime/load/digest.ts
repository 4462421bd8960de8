/** SHA-256 in lower-case hexadecimal, by the host's crypto.subtle where there is one, else by our own. */
import type { Sha256 } from "../format/sha256.ts";

const hexadecimal = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Hashes bytes that arrive in pieces and are in one place in the end. */
export class StreamDigest {
  readonly #subtle: SubtleCrypto | undefined;
  readonly #own: Sha256 | undefined;

  private constructor(subtle: SubtleCrypto | undefined, own: Sha256 | undefined) {
    this.#subtle = subtle;
    this.#own = own;
  }

  /** Our own code is loaded where the host has none. */
  static async of(subtle: SubtleCrypto | undefined): Promise<StreamDigest> {
    if (subtle !== undefined) return new StreamDigest(subtle, undefined);
    return new StreamDigest(undefined, new (await import("../format/sha256.ts")).Sha256());
  }

  update(piece: Uint8Array): void {
    this.#own?.update(piece);
  }

  /** @param whole all pieces one after another. */
  async digest(whole: Uint8Array): Promise<string> {
    if (this.#subtle === undefined) return hexadecimal(this.#own?.digest() ?? new Uint8Array());
    return hexadecimal(new Uint8Array(await this.#subtle.digest("SHA-256", whole as Uint8Array<ArrayBuffer>)));
  }
}

/** The hash that an integrity string ("sha256-" + base64) pins; undefined when it is not one. */
export function integrityHash(integrity: string): string | undefined {
  if (!/^sha256-[A-Za-z0-9+/]{43}=$/.test(integrity)) return undefined;
  return hexadecimal(Uint8Array.from(atob(integrity.slice(7)), (character) => character.charCodeAt(0)));
}
