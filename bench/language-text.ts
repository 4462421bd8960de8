/** The texts of a language model's folder as tokens: documents separated by NUL, token 0 in front of each. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";
import { optionalPackage } from "./optional-package.ts";

const documentStart = 0;

/** Throws LeafcutterError: file-missing; feature-missing where the tokeniser's package is not installed. */
export async function readTokens(folder: string, file: string): Promise<readonly number[]> {
  const { Tokenizer } = await optionalPackage("@huggingface/tokenizers", () => import("@huggingface/tokenizers"));
  const tokenizer = new Tokenizer(JSON.parse(await readText(join(folder, "tokenizer.json"))) as object, {});
  const text = await readText(join(folder, file));
  return text.split("\0").flatMap((document) => [documentStart, ...tokenizer.encode(document).ids]);
}

async function readText(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => {
    throw new LeafcutterError({
      code: "file-missing",
      where: path,
      message: "a language model is measured on text beside it",
      expected: "model.onnx, tokenizer.json, eval.txt, calibration.txt and a test_data_set_0 in one folder",
    });
  });
}
