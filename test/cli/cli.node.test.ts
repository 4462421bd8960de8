/** The command line as a person uses it: every command on an embedded model, exit codes, errors that say what to do. */
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { writeNpy } from "../../compiler/import/npy.ts";

const scratch = mkdtempSync(join(tmpdir(), "leafcutter-cli-"));
const digits = resolve("demo/models/digits");

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function leafcutter(...words: readonly string[]): Promise<Outcome> {
  const command = ["--import", "tsx", resolve("compiler/cli.ts"), ...words];
  return new Promise((settle) => {
    const env = { ...process.env, XDG_CACHE_HOME: join(scratch, "cache") };
    execFile(process.execPath, command, { cwd: resolve("."), env }, (error, stdout, stderr) => {
      settle({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

/** What a command says when nobody reads its output. */
function unread(...words: readonly string[]): Promise<Pick<Outcome, "code" | "stderr">> {
  const child = spawn(process.execPath, ["--import", "tsx", resolve("compiler/cli.ts"), ...words]);
  child.stdout.destroy();
  let stderr = "";
  child.stderr.on("data", (bytes: Buffer) => {
    stderr += bytes.toString();
  });
  return new Promise((settle) => child.on("close", (code) => settle({ code: code ?? -1, stderr })));
}

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe("leafcutter", { timeout: 120_000 }, () => {
  it("teaches itself", async () => {
    const { code, stdout } = await leafcutter("--help");
    expect(code).toBe(0);
    for (const word of ["compile", "inspect", "run", "verify", "bench", "--max-size"]) expect(stdout).toContain(word);
  });

  it("compiles, inspects and runs", async () => {
    const folder = join(scratch, "digits");
    const compiled = await leafcutter("compile", join(digits, "model.onnx"), "-o", folder);
    expect(compiled, compiled.stderr).toMatchObject({ code: 0 });
    expect(readdirSync(folder)).toEqual(
      expect.arrayContaining(["manifest.json", "program.json.deflate", "wasm-simd.wasm.deflate"]),
    );
    const inspected = await leafcutter("inspect", folder);
    expect(inspected.stdout).toMatch(/input {3}image float32/);
    expect(inspected.stdout).toMatch(/^ {2}steps {3}[1-9]\d*: [1-9]\d* wasm, 0 host$/m);
    expect(await unread("inspect", folder)).toEqual({ code: 0, stderr: "" });
    const image = Float32Array.from({ length: 784 }, (_, index) => (index % 28 > 12 && index % 28 < 16 ? 1 : 0));
    writeFileSync(join(scratch, "one.npy"), writeNpy({ dtype: "float32", shape: [1, 1, 28, 28], data: image }));
    writeFileSync(join(scratch, "one.json"), JSON.stringify([...image]));
    const fromNpy = await leafcutter(
      "run",
      folder,
      "--input",
      `image=${join(scratch, "one.npy")}`,
      "-o",
      join(scratch, "out"),
    );
    expect(fromNpy.stdout).toContain("logits float32 [1, 10]");
    expect(readFileSync(join(scratch, "out", "logits.npy")).byteLength).toBeGreaterThan(40);
    const input = `image=${join(scratch, "one.json")}`;
    const fromJson = await leafcutter("run", folder, "--input", input, "--energy", "--powercap", join(scratch, "none"));
    expect(fromJson.stdout).toMatch(/^no counters of energy.*no intel-rapl domain.*tier C.*--powercap/m);
    expect(fromJson.stdout).toMatch(/^energy: [\d.e-]+ mJ \(tier C\) a run, within a factor of 10: Horowitz/m);
    const logits = (text: string): string | undefined => /logits.*/.exec(text)?.[0];
    expect(logits(fromJson.stdout)).toBe(logits(fromNpy.stdout));
  });

  it("verifies golden data, and fails without any", async () => {
    const good = await leafcutter("verify", digits);
    expect(good.stdout).toMatch(/ok {6}digits.*\n1 passed, 0 failed\n$/);
    expect(good.code).toBe(0);
    const bare = join(scratch, "bare");
    execFile("mkdir", [bare]);
    const none = await leafcutter("verify", digits, bare);
    expect(none.stdout).toMatch(/FAILED {2}bare: .*test_data_set_0.*\n1 passed, 1 failed\n$/s);
    expect(none.code).toBe(1);
  });

  it("names the place and what to do when the model is damaged, missing or the input wrong", async () => {
    const model = readFileSync(join(digits, "model.onnx"));
    writeFileSync(join(scratch, "short.onnx"), model.subarray(0, model.length / 2));
    const short = await leafcutter("compile", join(scratch, "short.onnx"), "-o", join(scratch, "never"));
    expect(short).toMatchObject({ code: 1 });
    expect(short.stderr).toMatch(/^leafcutter: .*\[model-invalid\]/);
    const missing = await leafcutter("compile", join(scratch, "none.onnx"), "-o", join(scratch, "never"));
    expect(missing.stderr).toMatch(/none\.onnx.*\[file-missing\]/);
    const typing = await leafcutter(
      "compile",
      join(digits, "model.onnx"),
      "-o",
      join(scratch, "never"),
      "--dim",
      "bacth=2",
    );
    expect(typing.stderr).toMatch(/batch.*\[option-invalid\]/);
  });

  it("exits with 2 and the smallest possible size when the budget cannot be met", async () => {
    const impossible = await leafcutter(
      "compile",
      join(digits, "model.onnx"),
      "-o",
      join(scratch, "never"),
      "--max-size",
      "2kB",
    );
    expect(impossible.code).toBe(2);
    expect(impossible.stderr).toMatch(/smallest|at least/);
    expect(impossible.stderr).toContain("[budget-infeasible]");
    expect(impossible.stderr).toMatch(
      /x package size at most 2000 bytes; \d+ bytes at the best.*nearest plan: .*enough:/s,
    );
  });
});
