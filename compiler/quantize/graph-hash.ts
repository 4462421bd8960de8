/** What a graph computes, and under which names, as one hash: two graphs with the same one have the same activations. */
import { Sha256 } from "../../runtime/format/sha256.ts";
import type { Graph } from "../graph/graph.ts";

const known = new WeakMap<Graph, Promise<string>>();

/** SHA-256 in hexadecimal digits. Constants are hashed by the host where it can. */
export function hashOfGraph(graph: Graph): Promise<string> {
  const hash = known.get(graph) ?? hashOfValue(graph);
  known.set(graph, hash);
  return hash;
}

/** Of plain data, Maps and typed arrays included. */
export async function hashOfValue(value: unknown): Promise<string> {
  const arrays: ArrayBufferView[] = [];
  const text = JSON.stringify(value, (_, item: unknown) => {
    if (ArrayBuffer.isView(item)) return `${item.constructor.name} ${arrays.push(item)}`;
    if (item instanceof Map) return [...item];
    if (typeof item === "bigint") return `${item}n`;
    if (typeof item !== "number") return item;
    return Number.isFinite(item) && !Object.is(item, -0) ? item : `number ${Object.is(item, -0) ? "-0" : item}`;
  });
  const hash = new Sha256().update(new TextEncoder().encode(text));
  for (const { buffer, byteOffset, byteLength } of arrays)
    hash.update(await digestOf(new Uint8Array(buffer, byteOffset, byteLength)));
  return hexadecimal(hash.digest());
}

/** SHA-256, by crypto.subtle where the host has it (not over plain http). */
export async function digestOf(bytes: Uint8Array): Promise<Uint8Array> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  if (!subtle) return new Sha256().update(bytes).digest();
  return new Uint8Array(await subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
}

const hexadecimal = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
