/** The program in a package that has been made here: nothing of it is checked. */
import { contentOf } from "../../runtime/format/inflate.ts";
import type { Program } from "../../runtime/format/program.ts";
import type { PackagedFiles } from "./package.ts";

export async function programOf({ manifest: { program }, files }: PackagedFiles): Promise<Program> {
  const content = await contentOf(program, files.get(program.path) ?? new Uint8Array());
  return JSON.parse(new TextDecoder().decode(content)) as Program;
}
