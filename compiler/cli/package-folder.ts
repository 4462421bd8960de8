/** Packages as folders on disk. */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Manifest } from "../../runtime/format/manifest.ts";
import type { Program } from "../../runtime/format/program.ts";
import { fileSource } from "../file-source.ts";
import { programOf } from "../package/program-of.ts";

/** Writes a package over what was in the folder, once everything is there to be written. */
export async function writePackage(folder: string, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  await mkdir(folder, { recursive: true });
  const stale = (await readdir(folder)).filter(
    (name) =>
      /^([0-9a-f]{64}\.bin|(program\.json|shaders\.json|threads\.wasm|wasm-[a-z]+\.wasm)(\.deflate)?)$/.test(name) &&
      !files.has(name),
  );
  for (const [name, bytes] of files) if (name !== "manifest.json") await writeFile(join(folder, name), bytes);
  await writeFile(join(folder, "manifest.json"), files.get("manifest.json") ?? new Uint8Array());
  for (const name of stale) await rm(join(folder, name));
}

/** The files that the manifest names, by their paths. */
export async function readPackage(
  folder: string,
): Promise<{ manifest: Manifest; program: Program; files: Record<string, Uint8Array> }> {
  const read = async (name: string): Promise<Uint8Array> => {
    const source = fileSource(join(folder, name));
    return source.read(0, await source.size());
  };
  const manifestBytes = await read("manifest.json");
  const manifest = JSON.parse(new TextDecoder().decode(manifestBytes)) as Manifest;
  const files: Record<string, Uint8Array> = { "manifest.json": manifestBytes };
  for (const { path } of [
    manifest.program,
    ...manifest.modules,
    ...(manifest.threads ? [manifest.threads] : []),
    ...(manifest.shaders ? [manifest.shaders] : []),
    ...manifest.shards,
  ])
    files[path] = await read(path);
  return { manifest, program: await programOf({ manifest, files: new Map(Object.entries(files)) }), files };
}
