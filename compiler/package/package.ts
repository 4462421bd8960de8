/**
 * Files of a package: shards, program, modules, manifest. Deterministic: the same input gives the same bytes.
 */
import { deflateSync } from "fflate";
import {
  type FileReference,
  type Manifest,
  manifestFormat,
  type Provenance,
  type SelfTest,
  type WasmVariantName,
} from "../../runtime/format/manifest.ts";
import type { Program } from "../../runtime/format/program.ts";
import { Sha256 } from "../../runtime/format/sha256.ts";
import type { ShaderSet } from "../../runtime/format/shader.ts";
import type { PlannedWeight } from "../plan/plan.ts";

import { cutShards } from "./shards.ts";

export interface PackageContents {
  readonly name: string;
  readonly program: Program;
  readonly modules: readonly { readonly variant: WasmVariantName; readonly bytes: Uint8Array }[];
  /** The module that walks the records with several threads. */
  readonly threads?: Uint8Array | undefined;
  readonly shaders?: ShaderSet | undefined;
  readonly weights: readonly PlannedWeight[];
  readonly forms: Manifest["weights"] & object;
  readonly selfTest?: SelfTest | undefined;
  readonly provenance: Provenance;
}

export interface PackagedFiles {
  readonly manifest: Manifest;
  /** Path -> content, `manifest.json` first. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

const encoder = new TextEncoder();

/** Lower-case hexadecimal SHA-256. */
async function sha256(bytes: Uint8Array): Promise<string> {
  const { subtle } = globalThis.crypto ?? {};
  const digest = subtle
    ? new Uint8Array(await subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>))
    : new Sha256().update(bytes).digest();
  return toHex(digest);
}

/** Lower-case hexadecimal. */
export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export async function packageFiles(contents: PackageContents): Promise<PackagedFiles> {
  const files = new Map<string, Uint8Array>();
  const add = async (bytes: Uint8Array, path?: string): Promise<FileReference> => {
    const hash = await sha256(bytes);
    const name = path ?? `${hash}.bin`;
    files.set(name, bytes);
    return { path: name, bytes: bytes.byteLength, sha256: hash };
  };
  const addDeflated = async (path: string, content: Uint8Array): Promise<FileReference> => ({
    ...(await add(deflateSync(content, { level: 9 }), `${path}.deflate`)),
    contentBytes: content.byteLength,
  });
  const { program } = contents;
  const programFile = await addDeflated("program.json", encoder.encode(JSON.stringify(program)));
  const modules: Manifest["modules"][number][] = [];
  for (const { variant, bytes } of contents.modules)
    modules.push({ variant, ...(await addDeflated(`${variant}.wasm`, bytes)) });
  const threads = contents.threads && (await addDeflated("threads.wasm", contents.threads));
  const shaders =
    contents.shaders && (await addDeflated("shaders.json", encoder.encode(JSON.stringify(contents.shaders))));
  const shards: FileReference[] = [];
  for (const shard of cutShards(contents.weights)) shards.push(await add(shard));
  const describe = ({ address, ...description }: Program["inputs"][number]): Manifest["inputs"][number] => description;
  const manifest: Manifest = {
    format: manifestFormat,
    name: contents.name,
    symbols: program.symbols,
    inputs: program.inputs.map(describe),
    outputs: program.outputs.map(describe),
    ...(program.states
      ? { states: program.states.map(({ name, output, dtype, shape }) => ({ name, output, dtype, shape })) }
      : {}),
    program: programFile,
    modules,
    ...(threads ? { threads } : {}),
    ...(shaders ? { shaders } : {}),
    shards,
    weights: contents.forms,
    ...(contents.selfTest ? { selfTest: contents.selfTest } : {}),
    provenance: contents.provenance,
  };
  return { manifest, files: new Map([["manifest.json", encoder.encode(JSON.stringify(manifest))], ...files]) };
}
